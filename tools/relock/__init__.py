"""Brings dvc.lock up to date after a change of code that changes no output, without a GPU: `make relock`."""
