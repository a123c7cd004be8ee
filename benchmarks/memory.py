"""Expected and measured GPU memory of training over a grid of settings: `python -m benchmarks.memory`, on CUDA.

Random weights in published shapes. Each setting trains two steps and measures a validation batch in its own process.
Then `memory_fit: auto` chooses settings while only --limits GiB are free, and these are trained. Exit code 1 when that
runs out of memory, when a setting takes more than expected, or when 4-bit 1B with checkpointing takes more than 6 GiB.
"""

import argparse
import contextlib
import ctypes
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import synthetic
from benchmarks.sides import LORA, MAX_LENGTH, MAX_PROMPT, SEED
from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.params import Params
from copywriter.prompt import load_tokenizer
from copywriter.training import experiment, launch, memory, memory_fit, run_plan
from copywriter.training.memory import GIB
from tests.support import process, shapes, trial
from tests.support.tiny import ROOT

_STEPS = 2
_ROWS, _VALIDATION_ROWS = 600, 300  # enough for three steps of 32 sequences and a validation batch of 32


@dataclass(frozen=True)
class Seen:
    """Bytes at the peak."""

    allocated: int  # of tensors
    reserved: int  # by torch, in use or not
    outside: int  # outside torch: kernels' code, libraries and the driver, after the CUDA context was created

    @property
    def in_all(self) -> int:
        """Bytes that must be free on the card when a run starts."""
        return self.reserved + self.outside


class Meter:
    """GPU memory that this process takes from now on."""

    def __init__(self) -> None:
        """Creates the CUDA context first, because a run counts free memory after creating it."""
        torch.cuda.init()  # type: ignore[no-untyped-call]
        self._before = self._used()

    def leave(self, gib: float) -> int:
        """Allocates memory outside torch until `gib` are free; returns the free bytes."""
        rest = torch.cuda.mem_get_info()[0] - int(gib * GIB)
        torch.zeros(1, device="cuda")  # the context must be this thread's
        if ctypes.CDLL("libcuda.so.1").cuMemAlloc_v2(ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(rest)):
            raise SystemExit(f"benchmarks.memory: {rest / GIB:.1f} GiB could not be taken")
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
    """params.yaml with the changes, rows of the benchmark's lengths and no trackers."""
    lengths = {"max_length": MAX_LENGTH, "max_prompt_length": MAX_PROMPT, "retrieval.neighbours": 0}
    common = lengths | {"epochs": 1, "tracking": [], "packing": True}
    lora = {f"lora.{key}": value for key, value in (LORA | {"target_modules": "all-linear"}).items()}
    return trial.changed(params.load(ROOT / "params.yaml"), common | lora | dict(changes))


def measured(job: Mapping[str, Any], meter: Meter) -> dict[str, Any]:
    """Bytes by part that training models/base is `expected` to take, and the peak `seen` (None: out of memory).

    `job` has `changes` to params.yaml, the `vocabulary` size and `gib` (None, or the free GiB for which
    memory_fit: auto chooses first). `choice` says in words what it chose, or why it refused; in that case there are no
    bytes.
    """
    p = parameters(job["changes"])
    processor = device.choose()
    device.set_deterministic(p.advanced.deterministic)
    dtype = device.dtype(p.precision, processor)
    settings, choice = run_plan.memory_settings(p, processor, 1)[0], list[str]()
    compiled = run_plan.why_eager(p, processor, _STEPS * p.batch_size) is None
    if job["gib"]:
        free = meter.leave(job["gib"])
        try:
            settings, choice = memory_fit.fit(p, settings, experiment.config(), dtype, free, compiled)
        except UserError as error:
            return {"choice": str(error)}
    expected = memory.expected(memory.sizes(experiment.config(), p), p, settings, dtype, compiled)
    result = {"expected": expected, "seen": None, "choice": "; ".join(choice)}
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
    examples = synthetic.draw(_ROWS + _VALIDATION_ROWS, vocabulary, SEED)
    train, held = examples[:_ROWS], examples[_ROWS:]
    tokenizer = load_tokenizer(paths.BASE)
    data, held_data = experiment.sequences(train, p), experiment.sequences(held, p)
    plan = run_plan.with_settings(p, settings, processor, 1, len(data), ())
    team = launch.team()
    return experiment.Experiment(p, plan, team, processor, tokenizer, {}, train, data, held, held_data, "")


_TARGET_GIB = 6.0  # for a 1B model in 4 bits at batch 8 with checkpointing, which must run on a free 16 GB card
AUTO = {"advanced.memory_fit": "auto", "advanced.dequantize": "auto"}
HEAD = (
    "| shape | quantization | dequantize | checkpointing | compiled | sequences | torch's: expected | seen | ratio "
    "| in all: expected | reserved | and outside torch | ratio |\n|" + " --- |" * 13
)


def settings(micro: list[int], compiled: bool) -> Iterator[dict[str, Any]]:
    """The grid, as changes to params.yaml."""
    ways = [("4bit", True), ("4bit", False), ("8bit", True), ("8bit", False), ("none", True)]
    for (quantization, dequantize), checkpoints, size in product(ways, (False, True), micro):
        yield {
            "quantization": quantization,
            "advanced.dequantize": dequantize,
            "advanced.gradient_checkpointing": checkpoints,
            "advanced.compile": compiled,
            "batch_size": size,
            "micro_batch_size": size,
        }


def measured_in_process(changes: Mapping[str, Any], vocabulary: int, gib: float | None = None) -> dict[str, Any]:
    """The result of `measured` in its own process: code and fragments that earlier settings left would be counted."""
    job = {"changes": dict(changes), "vocabulary": vocabulary, "gib": gib}
    found: dict[str, Any] = process.answer("benchmarks.memory", job)
    return found


def most(shape: str, p: Params, expected: Mapping[str, int]) -> float:
    """The most bytes that a setting may take."""
    on_a_free_card = (shape, p.quantization, p.advanced.dequantize) == ("llama-3.2-1b", "4bit", False)
    target = _TARGET_GIB if on_a_free_card and p.advanced.gradient_checkpointing and p.batch_size == 8 else float("inf")
    return min(sum(expected.values()), target * GIB)


def line(shape: str, p: Params, expected: Mapping[str, int], seen: Seen | None) -> str:
    """A row of the table; None: the memory ran out."""
    in_all = sum(expected.values())
    inside = in_all - expected[memory.OUTSIDE]
    found = [f"{inside / GIB:.2f}", "ran out", "", f"{in_all / GIB:.2f}", "ran out", "", ""]
    if seen is not None:
        found[1:3] = f"{seen.allocated / GIB:.2f}", f"{inside / seen.allocated:.2f}"
        found[4:] = (
            f"{seen.reserved / GIB:.2f}",
            f"{seen.in_all / GIB:.2f}",
            f"{in_all / seen.in_all:.2f}",
        )
    way = "as it is" if p.quantization == "none" else str(p.advanced.dequantize).lower()
    advanced = p.advanced
    what = [shape, p.quantization, way, advanced.gradient_checkpointing, advanced.compile, p.micro_batch_size, *found]
    return f"| {' | '.join(str(one).lower() for one in what)} |"


def fits(gib: float, found: Mapping[str, Any]) -> tuple[str, bool]:
    """What `memory_fit: auto` chose for `gib` free GiB, in words, and whether the training succeeded or was refused."""
    if "seen" not in found:
        return f"{gib:g} GiB: refused: {found['choice']}", True
    what = found["choice"] or "as it is"
    if found["seen"] is None:
        return f"{gib:g} GiB: {what}: RAN OUT OF MEMORY", False
    return f"{gib:g} GiB: {what}: trained, {Seen(**found['seen']).in_all / GIB:.2f} GiB seen", True


def main() -> None:
    """Wires the grid."""
    options = _options()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.memory: needs a CUDA device")
    failed = 0
    print(HEAD, flush=True)
    for shape in options.shapes:
        figures = shapes.figures(shape, tiny=False)
        with tempfile.TemporaryDirectory(prefix="copywriter-memory-") as scratch, contextlib.chdir(scratch):
            synthetic.build(paths.BASE, figures, device.choose())
            torch.cuda.empty_cache()
            (paths.BASE / "pin.json").write_text("{}")
            for changes in settings(options.micro, options.compiled):
                found = measured_in_process(changes, figures["vocab_size"])
                p, seen = parameters(changes), Seen(**found["seen"]) if found["seen"] else None
                failed += seen is None or seen.in_all > most(shape, p, found["expected"])
                print(line(shape, p, found["expected"], seen), flush=True)
            for gib in options.limits:
                free = {"advanced.compile": options.compiled, **AUTO}
                outcome, good = fits(gib, measured_in_process(free, figures["vocab_size"], gib))
                failed += not good
                print(f"{shape}, memory_fit: auto, {outcome}", flush=True)
    if failed:
        sys.exit(f"benchmarks.memory: {failed} settings took more than was expected")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=list(shapes.SHAPES), default=["llama-3.2-1b", "smollm2-135m"])
    parser.add_argument("--micro", type=int, nargs="*", default=[1, 8, 32], help="sequences at once")
    parser.add_argument("--compiled", action="store_true", help="compiled steps; adds about 15 s for each setting")
    parser.add_argument("--limits", type=float, nargs="*", default=[16, 8, 6, 4, 3], metavar="GIB")
    return parser.parse_args()


if __name__ == "__main__":
    if process.answering():
        with contextlib.redirect_stdout(sys.stderr):  # the Trainer prints
            process.respond(lambda job: measured(job, Meter()))
    else:
        main()
