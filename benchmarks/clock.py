"""Times any Trainer's steps from outside, in the training run itself, and takes some of them apart afterwards."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

from benchmarks.parts import Parts, kernels
from benchmarks.rows import count_tokens
from benchmarks.sides import Job

_LEAST = 3  # steps that are timed however long they take


class Clock(TrainerCallback):
    """Warm-up, timed steps, steps taken apart, profiled steps; then it stops the training.

    `result` fills on the way and `save` is called after the timed steps and at the end, so that a failure in what comes
    later does not lose the measurement.
    """

    def __init__(self, trainer: Any, job: Job, result: dict[str, Any], save: Callable[[], None]) -> None:
        """Starts to watch `trainer`."""
        self._trainer, self._job, self._result, self._save = trainer, job, result, save
        self._counts: torch.Tensor | None = None  # (real tokens, all tokens) since the start, where the batches are
        self._cuda = trainer.args.device.type == "cuda"
        self._phases = self._run()
        step = trainer.training_step

        def counted(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            counts = count_tokens(inputs["input_ids"])  # no value is asked for here: the step is not held up
            self._counts = counts if self._counts is None else self._counts + counts
            return step(model, inputs, *rest, **named)

        trainer.training_step = counted
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """Goes on to what comes after this step."""
        if next(self._phases, True):
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """Notes what a whole epoch held, to show that all sides train the same rows."""
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
