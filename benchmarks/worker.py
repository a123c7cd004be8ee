"""Trains one side and times its steps, in its own process: peaks of memory and patched libraries do not mix."""

import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile
from transformers import Trainer, TrainerCallback

from benchmarks import own_rows, synthetic
from benchmarks.sides import SEED, SIDES, Job, Side
from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Example
from tests.support import shapes

_KERNELS = 12


class Parts:
    """Where a step's time goes, in the device's own time: spans between events around a Trainer's methods.

    A span holds the time that the device waited for launches too, so the parts add up to the step. A step that calls
    neither compute_loss nor backward (a CUDA graph) is one part, forward+backward.
    """

    def __init__(self, trainer: Any, cuda: bool) -> None:
        """Starts to watch, with the end of a step."""
        self._cuda = cuda
        self._spans: list[tuple[str, Any, Any]] = []
        self._watch(trainer, "get_batch_samples", "data")
        self._watch(trainer, "training_step", "forward+backward")
        self._watch(trainer, "compute_loss", "forward")
        self._watch(trainer.accelerator, "backward", "backward")
        self._watch(trainer, "_clip_grad_norm", "optimizer")
        self._watch(trainer.optimizer, "step", "optimizer")
        self._begin = self._mark()

    def finish(self, steps: int) -> dict[str, float]:
        """Milliseconds a step by part, for `steps` steps that the device has done."""
        total = self._between(self._begin, self._mark()) / steps
        parts: dict[str, float] = {}
        for name, begin, end in self._spans:
            parts[name] = parts.get(name, 0.0) + self._between(begin, end) / steps
        if "forward" in parts and "backward" in parts:
            del parts["forward+backward"]
        return {**parts, "between": total - sum(parts.values())}

    def _watch(self, owner: Any, method: str, name: str) -> None:
        inner = getattr(owner, method)

        def watched(*given: Any, **named: Any) -> Any:
            begin = self._mark()
            try:
                return inner(*given, **named)
            finally:
                self._spans.append((name, begin, self._mark()))

        setattr(owner, method, watched)

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _between(self, begin: Any, end: Any) -> float:
        if not self._cuda:
            return 1000 * float(end - begin)
        end.synchronize()
        return float(begin.elapsed_time(end))


def kernels(profiler: profile, steps: int) -> str:
    """The kernels (operators on a CPU) that take most of a step, one a line, under their total."""
    events = profiler.key_averages()
    on_device = [
        one for one in events if one.device_type != DeviceType.CPU and not getattr(one, "is_user_annotation", False)
    ]
    timed = [(one.self_device_time_total, one.count, one.key) for one in on_device]
    timed = timed or [(one.self_cpu_time_total, one.count, one.key) for one in events]
    total = sum(spent for spent, _, _ in timed)
    lines = [f"{total / steps / 1000:9.3f} ms a step in {sum(count for _, count, _ in timed) / steps:,.0f} kernels"]
    for spent, count, name in sorted(timed, reverse=True)[:_KERNELS]:
        lines.append(f"{spent / steps / 1000:9.3f} ms {spent / total:6.1%} {count / steps:7.0f} x {name[:160]}")
    return "\n".join(lines) + "\n"


_LEAST = 3  # steps that are always timed, whatever they take


class Clock(TrainerCallback):
    """Warm-up, timed steps, steps split into parts, profiled steps; then it stops the training.

    `result` fills on the way and `save` is called after the timed steps and at the end, so that a failure in what comes
    later does not lose the measurement.
    """

    def __init__(self, trainer: Any, job: Job, result: dict[str, Any], save: Callable[[], None]) -> None:
        """Starts to watch `trainer`."""
        self._trainer, self._job, self._result, self._save = trainer, job, result, save
        self._counts: torch.Tensor | None = None  # (real tokens, all tokens) since the start, where the batches are
        self._cuda = trainer.args.device.type == "cuda"
        special = own_rows.special(job.weights)
        self._phases = self._run()
        step = trainer.training_step

        def counted(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            counts = synthetic.count_tokens(inputs["input_ids"], *special)  # on the device: reading it would block
            self._counts = counts if self._counts is None else self._counts + counts
            return step(model, inputs, *rest, **named)

        trainer.training_step = counted
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """Continues with the next phase."""
        if next(self._phases, True):
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """Records the tokens of a whole epoch, to show that all sides train the same rows."""
        if not control.should_training_stop:
            self._result.setdefault("epoch_tokens", self._seen()[0])

    def _run(self) -> Iterator[bool]:
        job, result = self._job, self._result
        for _ in range(job.warmup - 1):
            yield False
        self._wait()
        result["setup_s"] = time.monotonic() - job.started
        real, total = self._seen()
        begin, steps = time.perf_counter(), 0
        while steps < job.steps and (steps < _LEAST or time.perf_counter() - begin < job.seconds):
            yield False
            steps += 1
        self._wait()
        seconds = time.perf_counter() - begin
        real, total = (now - before for now, before in zip(self._seen(), (real, total), strict=True))
        result.update(steps=steps, seconds=seconds, tokens=real, rate=real / seconds, step_ms=1000 * seconds / steps)
        result.update(padding=1 - real / total, allocated_gib=None, reserved_gib=None)
        if self._cuda:
            result["allocated_gib"] = torch.cuda.max_memory_allocated() / 2**30
            result["reserved_gib"] = torch.cuda.max_memory_reserved() / 2**30
        self._save()
        parts = Parts(self._trainer, self._cuda)
        for _ in range(job.apart):
            yield False
        self._wait()
        result["parts_ms"] = parts.finish(job.apart)
        profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._cuda else [])])
        profiler.start()
        for _ in range(job.profiled):
            yield False
        self._wait()
        profiler.stop()
        job.kernels.write_text(kernels(profiler, job.profiled))
        self._save()

    def _seen(self) -> list[int]:
        return [0, 0] if self._counts is None else self._counts.tolist()

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


def trainer_of(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """The side's trainer. Only the module of its way is imported: in Unsloth's process ours would inherit from it."""
    module = importlib.import_module("benchmarks.trainers" if side.way == "ours" else "benchmarks.peers")
    training: Trainer = getattr(module, side.way)(side, job, examples)
    return training


def check_rows(training: Any, examples: list[Example]) -> None:
    """RuntimeError unless a peer's tokenized and packed data has as many tokens, and labels, as the rows."""
    found, labels = 0, 0
    for one in training.train_dataset:
        found += len(one["input_ids"])
        labels += int(np.count_nonzero(np.asarray(one["labels"]) != IGNORED))
    wanted = sum(len(one.input_ids) for one in examples)
    trained = wanted - sum(one.prompt_length for one in examples)
    if (found, labels) != (wanted, trained):
        raise RuntimeError(f"the side trains {found} tokens, {labels} with loss, not {wanted} and {trained}")


def run(job: Job) -> None:
    """Trains the job's side and writes its result, or the sentence that a package is missing."""
    side = SIDES[job.side]
    result: dict[str, Any] = {"micro": job.micro}

    def save() -> None:
        job.result.write_text(json.dumps(result))

    if sentence := side.missing():
        result["failed"] = sentence
        return save()
    if job.own_rows:
        examples = own_rows.read(job.own_rows)
    else:
        examples = synthetic.draw(job.rows, shapes.figures(job.shape, job.tiny)["vocab_size"], SEED)
    result["versions"] = synthetic.versions(side.package)
    training = trainer_of(side, job, examples)
    if side.way == "unsloth":
        result["attention"] = importlib.import_module("benchmarks.peers").unsloth_attention()
    begin = time.monotonic()
    if side.way != "ours":  # whose data are these examples, packed
        check_rows(training, examples)
    job = dataclasses.replace(job, started=job.started + time.monotonic() - begin)  # the check is not set-up time
    Clock(training, job, result, save)
    training.train()
    if "rate" not in result or not result["tokens"]:
        raise RuntimeError(f"the training ended before the clock did: {result}")
    return save()


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
