"""Text generation: decode batch, KV cache, sampling, and inference for one title at a time."""
