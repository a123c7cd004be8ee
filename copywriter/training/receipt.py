"""models/adapter/receipt.json: data, params, run plan and losses of an adapter; nothing in it names a machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copywriter import errors, files, paths, records
from copywriter.checkpoints import fingerprint
from copywriter.errors import UserError
from copywriter.modeling.loading import RECEIPT
from copywriter.prompt import Prompter
from copywriter.training.experiment import Experiment
from copywriter.training.trainer import QloraTrainer

TITLE = "Girls Ballet Tutu Neon Pink"  # of the example prompt
_BATCHES = 4  # of validation sequences whose loss verify measures again


def contents(of: Experiment, training: QloraTrainer | None) -> dict[str, Any]:
    """The receipt without the files' hashes; `training` is finished, None for epochs 0. All processes call it."""
    log: Sequence[Mapping[str, Any]] = training.state.log_history if training else []
    facts = records.fact_names(paths.TRAIN)
    return {
        "fingerprint": of.fingerprint,
        "base": of.base,
        "params": fingerprint.effective(of.params),
        "plan": of.plan.content(),
        "data": {path.as_posix(): files.sha256(path) for path in fingerprint.data(of.params)},
        **({"facts": facts} if facts else {}),  # their names, for ask
        "rows": len(of.train),
        "cut_rows": sum(example.cut for example in of.train),
        "untrained_tokens": int(of.train_data.untrained.sum()),  # of an epoch's responses
        "tokens_per_epoch": int(of.train_data.lengths.sum()),
        "steps": training.state.global_step if training else 0,
        "losses": {str(entry["step"]): entry["loss"] for entry in log if "loss" in entry},
        "validation_losses": {str(entry["step"]): entry["eval_loss"] for entry in log if "eval_loss" in entry},
        "slice": slice_of(training) if training else None,
        "asked": {"title": TITLE, "prompt": asked(of)},
    }


def asked(of: Experiment) -> str:
    """The prompt of TITLE with the first question: the form in which other programs prompt the adapter."""
    (ids,) = Prompter(of.tokenizer, of.params).prompts([TITLE], of.params.prompt.questions[:1])
    return str(of.tokenizer.decode(ids))


def slice_of(training: QloraTrainer) -> dict[str, Any]:
    """The current loss of the adapter on the first validation sequences, and their number."""
    count = min(len(training.validation), _BATCHES * int(training.args.per_device_train_batch_size))
    return {"sequences": count, "loss": training.validation_loss(count)}


def write(adapter: Path, of: Mapping[str, Any]) -> None:
    """Writes the receipt of a folder: `contents`, the hash of every other file, and a hash of the receipt itself."""
    whole = {**of, "files": files.folder_hashes(adapter, (RECEIPT,))}
    files.write_json(adapter / RECEIPT, {**whole, "sha256": files.digest(whole)})


def read(adapter: Path) -> dict[str, Any]:
    """The receipt; UserError when it is not one of this version, or when a byte of it changed."""
    file = adapter / RECEIPT
    cure = "run 'dvc checkout models/adapter', or train again"
    try:
        text = errors.existing(file, "dvc pull models/adapter' or 'dvc repro train_qlora").read_text(encoding="utf-8")
        of: dict[str, Any] = json.loads(text)
        rest = {key: value for key, value in of.items() if key != "sha256"}
        unchanged = "plan" in of and text == files.dumps(of) and of["sha256"] == files.digest(rest)
    except (ValueError, KeyError, AttributeError):
        raise UserError(f"{file} is not a receipt of this version; {cure}") from None
    if not unchanged:
        raise UserError(f"{file} changed after it was written; {cure}")
    return of


def changed_files(adapter: Path, of: Mapping[str, Any]) -> list[str]:
    """A sentence for each file of the folder that differs from its receipt."""
    expected = of["files"]
    found = files.folder_hashes(adapter, (RECEIPT,))
    lines = [f"{name} is missing" for name in expected if name not in found]
    lines += [f"{name} is not in the receipt" for name in found if name not in expected]
    changed = [name for name in found if name in expected and found[name] != expected[name]]
    return lines + [f"{name} has SHA-256 {found[name]}, the receipt says {expected[name]}" for name in changed]
