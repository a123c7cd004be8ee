"""Training checkpoints: contents, files, lock, fingerprint, and the schedule that decides which runs can resume."""
