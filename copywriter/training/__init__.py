"""QLoRA training: run plan, row validation, packing, data order, step, trainer, memory."""
