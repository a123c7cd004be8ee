"""What `make` types: the demo, the outlook before a long run, the check of dvc.lock, the page for plots."""
