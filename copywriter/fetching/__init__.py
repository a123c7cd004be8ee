"""Bytes from where sources.yaml says, verified: transfers, archives, the cache, the generated practice catalogue."""
