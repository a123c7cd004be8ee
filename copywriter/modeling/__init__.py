"""The model: loading, device, quantized layers, attention, LoRA, loss, compilation and CUDA graphs."""
