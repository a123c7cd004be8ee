"""The commands behind `make`: demo, time estimate, comparison, check of dvc.lock, plots page, publishing, GPU runs."""
