"""A training of the working folder's data with some params changed, in this process or a new one."""

import hashlib
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from copywriter import params
from copywriter.training import experiment
from tests.support import process

_WARM_UP = 10  # steps before the clock starts: compilation, capture, caches


class _Clock(TrainerCallback):
    """Takes the time at the end of the warm-up and of the training."""

    def __init__(self, until: int | None) -> None:
        self._until = until
        self.times: dict[int, float] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == min(_WARM_UP, (self._until or state.max_steps) - 1):
            self._take(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._take(state.global_step)

    def _take(self, step: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times[step] = time.perf_counter()


def changed(p: params.Params, changes: Mapping[str, Any]) -> params.Params:
    """The params with some values changed; a dot stands for a section's key."""
    content: dict[str, Any] = p.model_dump()
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (content[section] if section else content)[name] = value
    return params.check(params.Params, content, "the trial")


def train(changes: Mapping[str, Any], until: int | None, strict: bool = False) -> dict[str, Any]:
    """Trains in this process, to step `until` or the end: losses, hash of the weights, real tokens a second.

    `strict` also lists torch's warnings of operations without a fixed order (`unordered`).
    """
    if strict:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    prepared = experiment.prepare(changed(params.load(), changes))
    clock = _Clock(until)
    with (
        tempfile.TemporaryDirectory(prefix="copywriter-trial-") as folder,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        training = prepared.trainer(Path(folder), [clock])
        if until:
            training.replay(None, until)
        else:
            training.fit()
        unordered = sorted({str(one.message).splitlines()[0] for one in caught if "determinis" in str(one.message)})
    weights = training.step.weights.detach().cpu().numpy().tobytes()
    (first, begin), *_, (last, end) = clock.times.items() if len(clock.times) > 1 else [(0, 0.0), (0, 1.0)]
    tokens = int(prepared.train_data.lengths.sum()) / training.order.steps * (last - first)
    log = training.state.log_history
    return {
        "losses": {str(one["step"]): one["loss"] for one in log if "loss" in one},
        "validation": {str(one["step"]): one["eval_loss"] for one in log if "eval_loss" in one},
        "weights": hashlib.sha256(weights).hexdigest(),
        "tokens_per_second": tokens / (end - begin),
        "steps": training.state.global_step,
        "plan": prepared.plan.describe()[0],
        "unordered": unordered,
    }


def train_in_process(
    changes: Mapping[str, Any], until: int | None = None, strict: bool = False, **environment: str
) -> Any:
    """The result of `train` in a new process."""
    job = {"changes": dict(changes), "until": until, "strict": strict}
    return process.answer("tests.support.trial", job, **environment)


if __name__ == "__main__":
    process.respond(lambda job: train(**job))
