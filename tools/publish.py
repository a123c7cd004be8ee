"""Puts the adapter with its card into a repository of the hub: `make publish REPO=user/name`.

The folder that is sent is runs/publish; nothing is written into models/adapter. A new repository is private unless
--public is given; an existing one stays as it is. HF_TOKEN is taken from the environment, and goes into the request's
header alone.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from copywriter import errors, files, paths, stage
from copywriter.errors import UserError

FOLDER = "publish"  # under runs/
LIBRARY = {  # read by huggingface_hub when it is imported
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",  # none that lies about elsewhere
    "HF_HUB_DISABLE_XET": "1",  # which commits a folder in parts: this is one commit, whole or not at all
}


def gathered(repo: str) -> Path:
    """The folder to send, made anew; UserError when adapter, dvc.lock, base and card do not belong together."""
    from copywriter.modeling import loading  # these bring torch: a missing token is said before
    from copywriter.training import receipt

    told = receipt.read(paths.ADAPTER)
    if changed := receipt.changed_files(paths.ADAPTER, told):
        raise UserError(
            f"{paths.ADAPTER} is not what its receipt says ({changed[0]}); run 'dvc checkout models/adapter'"
        )
    loading.check_base(paths.ADAPTER, paths.BASE)
    check_locked()
    card = errors.existing(paths.MODEL_CARD, "dvc repro report").read_text(encoding="utf-8")
    if told["files"][loading.WEIGHTS] not in card:
        raise UserError(f"{paths.MODEL_CARD} is another adapter's; run 'dvc repro report'")
    with files.new_folder(paths.RUNS / FOLDER) as aside:
        for file in sorted(paths.ADAPTER.iterdir()):
            (aside / file.name).write_bytes(file.read_bytes())
        (aside / "README.md").write_text(card.replace(f'"{paths.ADAPTER}"', f'"{repo}"'), encoding="utf-8")
    return paths.RUNS / FOLDER


def check_locked() -> None:
    """UserError when models/adapter is not what dvc.lock says."""
    command = [sys.executable, "-m", "dvc", "data", "status", "--json", str(paths.ADAPTER)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc data status failed: {' '.join(done.stderr.split())}")
    if json.loads(done.stdout).get("uncommitted"):
        raise UserError(
            f"{paths.ADAPTER} is not the one that dvc.lock names; run 'dvc checkout models/adapter' for that one, or "
            "'dvc repro' to score this one and record it"
        )


def push(folder: Path, repo: str, token: str, public: bool) -> str:
    """Sends the folder in one commit; its address."""
    from huggingface_hub import HfApi, errors

    api = HfApi(token=token)
    try:
        api.create_repo(repo, private=not public, exist_ok=True)
        sent = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Adapter and model card")
    except ValueError as error:  # the hub does not take the card's head, and says what of it
        said = " ".join(str(error).replace(token, "HF_TOKEN").split())
        raise UserError(f"{repo} was not published ({said}); mend the entries of sources.yaml") from None
    except (OSError, RuntimeError, errors.HTTPError) as error:  # type: ignore[attr-defined]
        raise UserError(f"{repo} was not published {cure(error)} and run it again") from None
    return str(sent.commit_url)


def cure(error: BaseException | None) -> str:
    """What happened, in brackets, and what to do; not a word of the answer itself."""
    name = type(error).__name__
    while error and getattr(error, "response", None) is None:
        error = error.__cause__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"(the hub answers {status}); set HF_TOKEN to a token that may write there"
    if status == 404:
        return "(the hub answers 404); mend REPO, or make the repository and let the token see it"
    return f"({f'the hub answers {status}' if status else name}); check the connection, and HF_HUB_OFFLINE,"


def run(repo: str, public: bool, dry: bool) -> str:
    """Gathers and sends; the summary."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise UserError(f"{repo!r} is no name of a repository; type 'make publish REPO=user/name'")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token and not dry:
        raise UserError("HF_TOKEN is not set; set it to a token of your hub account that may write, and run it again")
    os.environ.update(LIBRARY if sys.stderr.isatty() else {**LIBRARY, "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    folder = gathered(repo)
    return f"{folder} made, not sent" if dry else f"{folder} is {push(folder, repo, token, public)}"


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.add_argument("repo", metavar="USER/NAME")
    parser.add_argument("--public", action="store_true", help="of a new repository; private without it")
    parser.add_argument("--dry", action="store_true", help="make the folder, send nothing")
    options = parser.parse_args()
    stage.run("publish", lambda: run(options.repo, options.public, options.dry))


if __name__ == "__main__":
    main()
