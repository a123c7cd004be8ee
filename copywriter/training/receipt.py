"""models/adapter/receipt.json: what an adapter was made of and how it learned, without a word on the machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from copywriter import canonical, paths
from copywriter.model import RECEIPT
from copywriter.training import identity
from copywriter.training.experiment import Experiment
from copywriter.training.trainer import QloraTrainer

_BATCHES = 4  # of validation sequences whose loss verify measures again


def contents(of: Experiment, training: QloraTrainer | None) -> dict[str, Any]:
    """All but the files' hashes; `training` has ended, or there was none. All processes take part."""
    log: Sequence[Mapping[str, Any]] = training.state.log_history if training else []
    return {
        "fingerprint": of.mark,
        "base": of.base,
        "params": identity.effective(of.params),
        "data": {path.as_posix(): canonical.sha256(path) for path in (paths.TRAIN, paths.VALIDATION)},
        "processes": of.team.num_processes,
        "rows": len(of.train),
        "cut_rows": sum(example.cut for example in of.train),
        "tokens_per_epoch": int(of.train_data.lengths.sum()),
        "steps": training.state.global_step if training else 0,
        "losses": {str(entry["step"]): entry["loss"] for entry in log if "loss" in entry},
        "validation_losses": {str(entry["step"]): entry["eval_loss"] for entry in log if "eval_loss" in entry},
        "slice": slice_of(training) if training else None,
    }


def slice_of(training: QloraTrainer) -> dict[str, Any]:
    """The loss of the adapter as it is on the first validation sequences, and how many they are."""
    count = min(len(training.validation), _BATCHES * int(training.args.per_device_train_batch_size))
    return {"sequences": count, "loss": training.validation_loss(count)}


def changed_files(adapter: Path, receipt: Mapping[str, Any]) -> list[str]:
    """A line for each file of the folder that is not what the receipt says; ValueError where it lists none."""
    expected = receipt.get("files")
    if not isinstance(expected, dict):
        raise ValueError("it lists no files")
    found = canonical.folder_hashes(adapter, (RECEIPT,))
    lines = [f"{name} is missing" for name in expected if name not in found]
    lines += [f"{name} is not the receipt's" for name in found if name not in expected]
    changed = [name for name in found if name in expected and found[name] != expected[name]]
    return lines + [f"{name} has SHA-256 {found[name]}, the receipt says {expected[name]}" for name in changed]
