"""One module an entry of dvc.yaml; run as `python -m stages.NAME` from the repository's root."""

import copywriter as copywriter  # before any library is imported: it quiets one of them
