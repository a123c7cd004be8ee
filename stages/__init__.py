"""One module an entry of dvc.yaml; run as `python -m stages.NAME` from the repository's root."""
