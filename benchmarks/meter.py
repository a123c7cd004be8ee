"""What training by one setting takes of a GPU, in a process of its own: benchmarks/memory.py starts it for each row.

In one process for all, a setting would be charged with what those before it left: kernels' code, torn pieces of memory.
"""

import contextlib
import ctypes
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import process, rows
from benchmarks.sides import LORA, MAX_LENGTH, MAX_PROMPT, SEED
from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Params
from copywriter.prompt import load_tokenizer
from copywriter.training import experiment, launch, memory, memory_fit, run_plan
from tests.support import trial
from tests.support.tiny import ROOT

_STEPS = 2
_ROWS, _HELD = 600, 300  # enough for three steps of 32 sequences, and a validation batch of them


@dataclass(frozen=True)
class Seen:
    """Bytes at the peak."""

    allocated: int  # of tensors
    reserved: int  # that torch held, in use or not
    outside: int  # of kernels' code, and what libraries and the driver took after the CUDA context was made

    @property
    def in_all(self) -> int:
        """What the card must have free when a run counts it."""
        return self.reserved + self.outside


class Meter:
    """What this process takes of the GPU from here on."""

    def __init__(self) -> None:
        """Makes the CUDA context: a run counts free memory when it has one."""
        torch.cuda.init()  # type: ignore[no-untyped-call]
        self._before = self._used()

    def leave(self, gib: float) -> int:
        """Takes memory, not through torch, until so much is free; the bytes that are."""
        rest = torch.cuda.mem_get_info()[0] - int(gib * memory.GIB)
        torch.zeros(1, device="cuda")  # the context must be this thread's
        if ctypes.CDLL("libcuda.so.1").cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(rest)):
            raise SystemExit(f"benchmarks.memory: {rest / memory.GIB:.1f} GiB could not be taken")
        self._before += rest
        return torch.cuda.mem_get_info()[0]

    def seen(self) -> Seen:
        """The peaks so far."""
        torch.cuda.synchronize()
        outside = self._used() - self._before - torch.cuda.memory_reserved()
        return Seen(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved(), outside)

    @staticmethod
    def _used() -> int:
        free, total = torch.cuda.mem_get_info()
        return total - free


def parameters(changes: Mapping[str, Any]) -> Params:
    """params.yaml with the changes, rows of the benchmark's lengths and nothing written on the way."""
    common = {"max_length": MAX_LENGTH, "max_prompt_length": MAX_PROMPT, "epochs": 1, "tracking": [], "packing": True}
    lora = {f"lora.{key}": value for key, value in (LORA | {"target_modules": "all-linear"}).items()}
    return trial.changed(params.load(ROOT / "params.yaml"), common | lora | dict(changes))


def measured(job: Mapping[str, Any], meter: Meter) -> dict[str, Any]:
    """The bytes by part that training of models/base is `expected` to take and those `seen`; None: they ran out.

    `job` has `changes` to params.yaml, the `vocabulary` and, to let memory_fit: auto choose first, `gib` that are free;
    `said` then is what it did. Neither bytes when it refused.
    """
    p = parameters(job["changes"])
    processor = device.choose()
    device.set_deterministic(p.advanced.deterministic)
    dtype = device.dtype(p.precision, processor)
    settings, said = run_plan.memory_settings(p, processor, 1)[0], list[str]()
    compiled = run_plan.why_eager(p, settings.gradient_checkpointing, processor, _STEPS * p.batch_size) is None
    if job["gib"]:
        free = meter.leave(job["gib"])
        try:
            settings, said = memory_fit.fit(p, settings, experiment.config(), dtype, free, compiled)
        except UserError as error:
            return {"said": str(error)}
    expected = memory.expected(memory.sizes(experiment.config(), p), p, settings, dtype, compiled)
    result = {"expected": expected, "seen": None, "said": "; ".join(said)}
    try:
        with tempfile.TemporaryDirectory(prefix="copywriter-memory-") as folder, memory_fit.exhausted(settings):
            training = _experiment(p, settings, processor, job["vocabulary"]).trainer(Path(folder))
            training.replay(None, _STEPS)
            result["seen"] = asdict(meter.seen())
    except UserError as error:
        if "memory ran out" not in str(error):
            raise
    return result


def _experiment(
    p: Params, settings: memory.MemorySettings, processor: torch.device, vocabulary: int
) -> experiment.Experiment:
    examples = rows.draw(_ROWS + _HELD, vocabulary, SEED)
    train, held = examples[:_ROWS], examples[_ROWS:]
    tokenizer = load_tokenizer(paths.BASE)
    data, held_data = experiment.sequences(train, p), experiment.sequences(held, p)
    plan = run_plan.with_settings(p, settings, processor, 1, len(data), ())
    team = launch.team()
    return experiment.Experiment(p, plan, team, processor, tokenizer, {}, train, data, held, held_data, "")


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # the Trainer's own lines
        process.respond(lambda job: measured(job, Meter()))
