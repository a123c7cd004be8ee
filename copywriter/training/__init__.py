"""QLoRA at the speed of the card: packing, attention, loss, the adapter, the step, checkpoints, memory."""
