"""Files of a hub repository at a commit, with the token only where the repository is gated."""

from pathlib import Path
from typing import Any

from copywriter.errors import UserError
from copywriter.fetching import downloads


def hub_files(
    repo: str, revision: str, gated: bool, patterns: list[str], leave_out: list[str], into: Path | None = None
) -> Path:
    """The folder that holds a hub repository's files at one commit: the mirror's, or the hub's own cache, filled.

    With `into` the files come there, and no copy stays in the hub's cache.
    """
    mirror = downloads.mirrored(repo.replace("/", "--"))
    if mirror and not into:
        return mirror
    token = downloads.hub_token(repo, gated) or False  # False: no token from elsewhere is sent either
    from huggingface_hub import constants, errors, snapshot_download

    network = (OSError, errors.HTTPError)  # type: ignore[attr-defined]
    try:
        options: dict[str, Any] = {"allow_patterns": patterns, "ignore_patterns": leave_out, "local_dir": into}
        return Path(snapshot_download(repo, revision=revision, token=token, **options))
    except network as error:
        response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
        status = response.status_code if response is not None else None
        if status in (401, 403):
            cure = f"accept its licence on {constants.ENDPOINT}/{repo} and set HF_TOKEN to a token of that account"
        elif status == 404:
            cure = "correct repo and revision in sources.yaml"
        else:
            cure = "check the connection, and that HF_HUB_OFFLINE is not set, and run again"
        found = f"the hub answers {status}" if status else type(error).__name__
        raise UserError(f"{repo} at revision {revision} cannot be downloaded ({found}); {cure}") from None
