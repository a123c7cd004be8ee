"""Expected GPU memory beside what training takes, over a grid of settings: `python -m benchmarks.memory`, on CUDA.

Random weights in published shapes; each setting, in a process of its own, trains two steps and measures a validation
batch, as the stage does. Then `memory_fit: auto` chooses where --limits GiB are free and the rest is taken, and its
choice trains there. Exit code 1 when that runs out of memory, when a setting takes more than was expected, or 4-bit 1B
with checkpointing more than 6 GiB.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import torch

from benchmarks import meter, prepare, process, shapes
from benchmarks.meter import Seen
from copywriter import paths
from copywriter.modeling import device
from copywriter.params import Params
from copywriter.training import memory

GIB = memory.GIB
_TARGET_GIB = 6.0  # for a 1B model in 4 bits at batch 8 with checkpointing: it is to run on a free 16 GB card
AUTO = {"advanced.memory_fit": "auto", "advanced.dequantize": "auto"}
HEAD = (
    "| shape | quantization | dequantize | checkpointing | compiled | sequences | torch's: expected | seen | ratio "
    "| in all: expected | reserved | and outside torch | ratio |\n|" + " --- |" * 13
)


def settings(micro: list[int], compiled: bool) -> Iterator[dict[str, Any]]:
    """The grid, as changes to params.yaml."""
    ways = [("4bit", True), ("4bit", False), ("8bit", True), ("8bit", False), ("none", True)]
    checkpointing = (False,) if compiled else (False, True)  # which is never compiled
    for (quantization, dequantize), checkpoints, size in product(ways, checkpointing, micro):
        yield {
            "quantization": quantization,
            "advanced.dequantize": dequantize,
            "advanced.gradient_checkpointing": checkpoints,
            "advanced.compile": compiled,
            "batch_size": size,
            "micro_batch_size": size,
        }


def alone(changes: Mapping[str, Any], vocabulary: int, gib: float | None = None) -> dict[str, Any]:
    """What meter.measured says, in a process of its own."""
    job = {"changes": dict(changes), "vocabulary": vocabulary, "gib": gib}
    found: dict[str, Any] = process.answer("benchmarks.meter", job)
    return found


def most(shape: str, p: Params, expected: Mapping[str, int]) -> float:
    """The bytes that a setting may take."""
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
        found[4:] = f"{seen.reserved / GIB:.2f}", f"{seen.in_all / GIB:.2f}", f"{in_all / seen.in_all:.2f}"
    way = "as it is" if p.quantization == "none" else str(p.advanced.dequantize).lower()
    compiled = p.advanced.compile is True and not p.advanced.gradient_checkpointing
    what = [shape, p.quantization, way, p.advanced.gradient_checkpointing, compiled, p.micro_batch_size, *found]
    return f"| {' | '.join(str(one).lower() for one in what)} |"


def fits(gib: float, found: Mapping[str, Any]) -> tuple[str, bool]:
    """What `memory_fit: auto` made of so many free GiB, in words, and whether it then trained."""
    if "seen" not in found:
        return f"{gib:g} GiB: refused: {found['said']}", True
    what = found["said"] or "as it is"
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
            prepare.build(paths.BASE, figures, device.choose())
            torch.cuda.empty_cache()
            (paths.BASE / "pin.json").write_text("{}")
            for changes in settings(options.micro, options.compiled):
                found = alone(changes, figures["vocab_size"])
                p, seen = meter.parameters(changes), Seen(**found["seen"]) if found["seen"] else None
                failed += seen is None or seen.in_all > most(shape, p, found["expected"])
                print(line(shape, p, found["expected"], seen), flush=True)
            for gib in options.limits:
                free = {"advanced.compile": options.compiled, **AUTO}
                said, good = fits(gib, alone(free, figures["vocab_size"], gib))
                failed += not good
                print(f"{shape}, memory_fit: auto, {said}", flush=True)
    if failed:
        sys.exit(f"benchmarks.memory: {failed} settings took more than was expected")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=list(shapes.SHAPES), default=["llama-3.2-1b", "smollm2-135m"])
    parser.add_argument("--micro", type=int, nargs="*", default=[1, 8, 32], help="sequences at once")
    parser.add_argument("--compiled", action="store_true", help="compiled steps, each setting some 15 s more")
    parser.add_argument("--limits", type=float, nargs="*", default=[16, 8, 6, 4, 3], metavar="GIB")
    return parser.parse_args()


if __name__ == "__main__":
    main()
