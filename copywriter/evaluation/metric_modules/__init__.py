"""Metrics as modules of the `evaluate` library, loaded from these files: its own loader fetches them from a hub."""
