"""Whether an adapter is what its receipt says: `python -m copywriter.verify models/adapter`.

Five checks: the files' bytes; the histories in metrics/; the training's code; some steps, trained again from a
checkpoint under runs/ or from the start; the validation loss of a slice. Each is equal, equal within rounding (another
processor or library rounds otherwise), different, or not done because something is missing. Exit code 1 when any is
different.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from copywriter import files, params, paths, stage
from copywriter.checkpoints import checkpoint_files, contents, fingerprint
from copywriter.errors import UserError
from copywriter.modeling import loading
from copywriter.training import experiment, receipt
from copywriter.training.trainer import QloraTrainer

_ROUNDING = 2e-3  # relative, of a loss: bf16 on one card against another, or against float32
_DROPOUT = 5e-2  # the same where dropout draws other numbers, as another kind of processor does


@dataclass(frozen=True)
class Finding:
    """What one check came to."""

    check: str
    verdict: str  # equal | equal within rounding | different | not done
    why: str

    def __str__(self) -> str:
        return f"{self.check}: {self.verdict}" + (f" ({self.why})" if self.why else "")


def findings(adapter: Path, steps: int) -> Iterator[Finding]:
    """The checks in their order; a replay takes at least `steps` steps, up to a line of the history."""
    recorded = receipt.read(adapter)
    changed = receipt.changed_files(adapter, recorded)
    yield Finding("files", "different" if changed else "equal", "; ".join(changed))
    yield histories(recorded)
    missing = absent(recorded)
    if missing or not recorded["steps"]:
        yield Finding("replay", *(missing or ("not done", "an untrained adapter has no steps")))
        return
    of = experiment.prepare(settings(recorded))
    with tempfile.TemporaryDirectory(prefix="copywriter-verify-") as scratch:
        yield code(of, recorded)
        training = of.trainer(Path(scratch))
        yield replayed(of, training, recorded, steps)
        set_peft_model_state_dict(training.adapter, load_file(adapter / "adapter_model.safetensors"))
        count, expected = recorded["slice"]["sequences"], recorded["slice"]["loss"]
        yield compared(f"validation loss of {count} sequences", {"": expected}, {"": training.validation_loss(count)})


def settings(recorded: Mapping[str, Any]) -> params.Params:
    """The params that the adapter was trained with; what has no effect on it as in params.yaml."""
    given = fingerprint.as_planned(recorded["params"], recorded["plan"])
    loaded = params.load()
    here = loaded.model_dump() | {"retrieval": params.retrieval_of(given, loaded)}
    older = {"train_on_unsupported": True}  # what a receipt without this key was trained with
    content = {**here, **given, "advanced": {**here["advanced"], **older, **given["advanced"]}}
    return params.check(params.Params, content, "receipt.json")


def absent(recorded: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why the training cannot be repeated here, as verdict and reason."""
    for name, expected in recorded["data"].items():
        cure = f"run 'dvc repro {'retrieve' if Path(name).is_relative_to(paths.NEIGHBOURS) else 'split'}'"
        if not Path(name).exists():
            return "not done", f"{name} is missing; {cure}"
        if files.sha256(Path(name)) != expected:
            return "different", f"{name} is not the file that was trained on; {cure}"
    if not (paths.BASE / loading.PIN).exists():
        return "not done", f"{paths.BASE} is missing; run 'dvc repro fetch_model'"
    if loading.base_identity(paths.BASE) != recorded["base"]:
        return "different", f"{paths.BASE} is not the model that was trained; run 'dvc repro fetch_model'"
    return None


def histories(recorded: Mapping[str, Any]) -> Finding:
    """The curves in metrics/ against the receipt's losses."""
    wrong = []
    for file, column, name in (
        (paths.TRAIN_HISTORY, "loss", "losses"),
        (paths.VALIDATION_HISTORY, "eval_loss", "validation_losses"),
    ):
        if not file.exists():
            return Finding("histories", "not done", f"{file} is missing")
        with file.open(newline="") as stream:
            found = {row["step"]: float(row[column]) for row in csv.DictReader(stream)}
        if found != recorded[name]:
            wrong.append(f"{file} is not the history of this adapter")
    return Finding("histories", "different" if wrong else "equal", "; ".join(wrong))


def code(of: experiment.Experiment, recorded: Mapping[str, Any]) -> Finding:
    """Whether the fingerprint is the receipt's; after `make relock` that of changed code is."""
    if fingerprint.fingerprint(of.params, recorded["plan"], of.base) == recorded["fingerprint"]:
        return Finding("code", "equal", "")
    return Finding("code", "not done", "it was trained by another version of the code; 'make relock' compares them")


def replayed(of: experiment.Experiment, training: QloraTrainer, recorded: Mapping[str, Any], steps: int) -> Finding:
    """Trains steps again and compares their losses, and the weights where a state was kept at the end."""
    logged = sorted(map(int, recorded["losses"]))
    begin = _begin(of, training, logged, steps)
    start = begin.step if begin else 0
    until = next((step for step in logged if step >= start + steps), logged[-1] if logged else 0)
    if until <= start:
        return Finding("replay", "not done", f"no loss was recorded after step {start}")
    where = f"replay of steps {start + 1:,} to {until:,} from {begin.path if begin else 'nothing'}"
    training.replay(begin.path if begin else None, until)
    found = {str(one["step"]): one["loss"] for one in training.state.log_history if "loss" in one}
    ours = {step: loss for step, loss in found.items() if int(step) > start}
    tolerance = _DROPOUT if of.params.lora.dropout else _ROUNDING
    finding = compared(where, {step: recorded["losses"][step] for step in ours}, ours, tolerance)
    here = fingerprint.fingerprint(of.params, recorded["plan"], of.base)
    if finding.verdict != "equal" and here != recorded["fingerprint"]:
        return Finding(where, finding.verdict, f"{finding.why}; it was trained by another version of the code")
    if finding.verdict == "equal within rounding" and begin:
        return Finding(where, "different", f"{finding.why}, on the machine and versions that wrote the state")
    end = next(
        (
            one
            for one in checkpoint_files.checkpoints(of.folder)
            if one.step == until and not checkpoint_files.damage(one.path)
        ),
        None,
    )
    if finding.verdict == "equal" and end:
        same = torch.equal(contents.weights(end.path), training.step.weights.detach().cpu())
        why = "losses and weights" if same else f"the weights are not those of {end.path}"
        return Finding(where, "equal" if same else "different", why)
    return finding


def _begin(
    of: experiment.Experiment, training: QloraTrainer, logged: list[int], steps: int
) -> checkpoint_files.Checkpoint | None:
    """The last whole state after which at least `steps` steps lead to a recorded loss."""
    last = max(logged, default=0)
    usable = [
        one
        for one in checkpoint_files.checkpoints(of.folder)
        if one.step + steps <= last
        and (one.total == training.schedule.total or (not one.total and one.step <= training.schedule.shared_steps))
    ]
    return next(
        (one for one in sorted(usable, key=lambda one: -one.step) if not checkpoint_files.damage(one.path)), None
    )


def compared(
    check: str, expected: Mapping[str, float], found: Mapping[str, float], tolerance: float = _ROUNDING
) -> Finding:
    """Values by step, held against those of the receipt."""
    if expected == found:
        return Finding(check, "equal", "")
    apart, step = max((abs(found[step] / expected[step] - 1), step) for step in expected)
    verdict = "equal within rounding" if apart <= tolerance else "different"
    at = f" at step {step}" if step else ""
    return Finding(check, verdict, f"{found[step]!r} instead of {expected[step]!r}{at}, {apart:.1e} apart")


def main() -> None:
    """Wires the checks."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.verify", description=__doc__)
    parser.add_argument("adapter", type=Path, nargs="?", default=paths.ADAPTER)
    parser.add_argument("--steps", type=int, default=1, help="to train again, at least; up to a line of the history")
    options = parser.parse_args()

    def work() -> str:
        found = []
        for one in findings(options.adapter, options.steps):
            print(f"verify: {one}", flush=True)
            found.append(one)
        if any(one.verdict == "different" for one in found):
            raise UserError(f"{options.adapter} is different from what its receipt says")
        rounded = any(one.verdict == "equal within rounding" for one in found)
        left = [one.check for one in found if one.verdict == "not done"]
        said = f"{options.adapter} is equal{' within rounding' if rounded else ''} to what its receipt says"
        return said + (f", except what was not done: {', '.join(left)}" if left else "")

    stage.run("verify", work)


if __name__ == "__main__":
    main()
