"""Where a step's time goes: its parts, and the kernels that take most of it."""

import time
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import profile

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
