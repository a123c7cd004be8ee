"""What the stages, `ask` and the benchmarks share: one module a subject, read through DVC's stages in `stages/`."""
