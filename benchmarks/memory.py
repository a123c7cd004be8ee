"""Expected GPU memory beside what training takes, over a grid of settings: `python -m benchmarks.memory`, on CUDA.

Random weights in published shapes; each setting trains two steps and measures a validation batch, as the stage does.
Then `fit: auto` chooses for cards of --limits GiB, and what it chose trains under that limit. Exit code 1 when that
runs out of memory, when a setting takes more than was expected, or 4-bit 1B with checkpointing more than 6 GiB.
"""

import argparse
import contextlib
import gc
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import prepare, rows, shapes, trial
from benchmarks.sides import LORA, MAX_LENGTH, MAX_PROMPT, SEED
from benchmarks.tiny import ROOT
from copywriter import device, params, paths
from copywriter.params import Params
from copywriter.prompt import load_tokenizer
from copywriter.stage import UserError
from copywriter.training import experiment, fit, launch, memory, step

GIB = memory.GIB
_STEPS = 2
_ROWS, _HELD = 600, 300  # enough for three steps of 32 sequences, and a validation batch of them
_TARGET_GIB = 6.0  # for a 1B model in 4 bits at batch 8 with checkpointing: it is to run on a free 16 GB card
HEAD = (
    "| shape | quantization | dequantize | checkpointing | compiled | sequences | torch's: expected | seen | ratio "
    "| in all: expected | seen | ratio |\n|" + " --- |" * 12
)


@dataclass(frozen=True)
class Seen:
    """Bytes at the peak: what torch allocated, and all that the process took of the card after its CUDA context."""

    allocated: int
    in_all: int


class Meter:
    """What one setting after another takes of the GPU."""

    def __init__(self) -> None:
        """Makes the CUDA context: a run counts free memory when it has one."""
        torch.cuda.init()  # type: ignore[no-untyped-call]
        self._context = self._used() - torch.cuda.memory_reserved()

    def begin(self) -> None:
        """Forgets the setting before."""
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._left = torch.cuda.memory_allocated()

    def seen(self) -> Seen:
        """The peaks since `begin`."""
        torch.cuda.synchronize()
        return Seen(
            torch.cuda.max_memory_allocated() - self._left,
            torch.cuda.max_memory_reserved() - self._left + self.outside(),
        )

    def outside(self) -> int:
        """Bytes that are neither torch's nor the context's: kernels' code and what libraries take by themselves."""
        return self._used() - torch.cuda.memory_reserved() - self._context

    @contextlib.contextmanager
    def limited(self, gib: float) -> Iterator[None]:
        """Within, a card of so much free memory: torch gets what the rest leaves."""
        total = torch.cuda.mem_get_info()[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, (gib * GIB - self.outside()) / total))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    @staticmethod
    def _used() -> int:
        free, total = torch.cuda.mem_get_info()
        return total - free


def settings(micro: list[int], compiled: bool) -> Iterator[dict[str, Any]]:
    """The grid, as changes to params.yaml."""
    ways = [("4bit", True), ("4bit", False), ("8bit", True), ("8bit", False), ("none", True)]
    checkpointing = (False,) if compiled else (False, True)  # which is never compiled
    for (quantization, dequantize), checkpoints, size in product(ways, checkpointing, micro):
        yield {
            "quantization": quantization,
            "dequantize": dequantize,
            "gradient_checkpointing": checkpoints,
            "compile": compiled,
            "batch_size": size,
            "micro_batch_size": size,
        }


def parameters(changes: Mapping[str, Any]) -> Params:
    """params.yaml with the changes, rows of the benchmark's lengths and nothing written on the way."""
    common = {"max_length": MAX_LENGTH, "max_prompt_length": MAX_PROMPT, "epochs": 1, "tracking": [], "packing": True}
    lora = {f"lora.{key}": value for key, value in (LORA | {"target_modules": "all-linear"}).items()}
    return trial.changed(params.load(ROOT / "params.yaml"), common | lora | dict(changes))


def train(p: Params, meter: Meter, vocabulary: int) -> tuple[dict[str, int], Seen | None]:
    """The bytes by part that training of models/base by `p` is expected to take, and what it takes; None: more."""
    meter.begin()
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    examples = rows.draw(_ROWS + _HELD, vocabulary, SEED)
    train_rows, held = examples[:_ROWS], examples[_ROWS:]
    data, held_data = experiment.sequences(train_rows, p), experiment.sequences(held, p)
    compiled = step.obstacle(p, processor, _STEPS) is None
    expected = memory.expected(memory.sizes(experiment.config(), p), p, dtype, compiled)
    of = experiment.Experiment(
        p, launch.team(), processor, dtype, load_tokenizer(paths.BASE), {}, train_rows, data, held, held_data, ""
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="copywriter-memory-") as folder,
            contextlib.redirect_stdout(sys.stderr),  # the Trainer's own lines
            fit.exhausted(p),
        ):
            training = of.trainer(Path(folder))
            training.replay(None, _STEPS)
            return expected, meter.seen()
    except UserError as error:
        if "memory ran out" not in str(error):
            raise
        return expected, None


def most(shape: str, p: Params, expected: Mapping[str, int]) -> float:
    """The bytes that a setting may take."""
    on_a_free_card = (shape, p.quantization, p.dequantize) == ("llama-3.2-1b", "4bit", False)
    target = _TARGET_GIB if on_a_free_card and p.gradient_checkpointing and p.batch_size == 8 else float("inf")
    return min(sum(expected.values()), target * GIB)


def line(shape: str, p: Params, expected: dict[str, int], seen: Seen | None) -> str:
    """A row of the table; None: the memory ran out."""
    in_all = sum(expected.values())
    found = []
    for size, of in ((in_all - expected[memory.OUTSIDE], "allocated"), (in_all, "in_all")):
        if seen is None:
            found += [f"{size / GIB:.2f}", "ran out", ""]
        else:
            found += [f"{size / GIB:.2f}", f"{getattr(seen, of) / GIB:.2f}", f"{size / getattr(seen, of):.2f}"]
    way = "as it is" if p.quantization == "none" else str(p.dequantize).lower()
    compiled = p.compile is True and not p.gradient_checkpointing
    what = [shape, p.quantization, way, p.gradient_checkpointing, compiled, p.micro_batch_size, *found]
    return f"| {' | '.join(str(one).lower() for one in what)} |"


def fits(gib: float, changes: Mapping[str, Any], meter: Meter, vocabulary: int) -> tuple[str, bool]:
    """What `fit: auto` makes of a card of so many GiB, in words, and whether it then trained."""
    p = parameters({**changes, "compile": False, "fit": "auto", "dequantize": "auto"})
    processor = device.choose()
    try:
        chosen, said = fit.fitted(
            p, experiment.config(), device.dtype(p.precision, processor), int(gib * GIB), compiled=False
        )
    except UserError as error:
        return f"{gib:g} GiB: refused: {error}", True
    what = "; ".join(said) or "as it is"
    with meter.limited(gib):
        _, seen = train(chosen, meter, vocabulary)
    if seen is None:
        return f"{gib:g} GiB: {what}: RAN OUT OF MEMORY", False
    return f"{gib:g} GiB: {what}: trained, {seen.in_all / GIB:.2f} GiB seen", True


def main() -> None:
    """Wires the grid."""
    options = _options()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.memory: needs a CUDA device")
    device.set_deterministic(params.load(ROOT / "params.yaml").deterministic)
    meter = Meter()
    failed = 0
    print(HEAD, flush=True)
    for shape in options.shapes:
        figures = shapes.figures(shape, tiny=False)
        with tempfile.TemporaryDirectory(prefix="copywriter-memory-") as scratch, contextlib.chdir(scratch):
            prepare.build(paths.BASE, figures, device.choose())
            (paths.BASE / "pin.json").write_text("{}")
            for changes in settings(options.micro, options.compiled):
                p = parameters(changes)
                expected, seen = train(p, meter, figures["vocab_size"])
                failed += seen is None or seen.in_all > most(shape, p, expected)
                print(line(shape, p, expected, seen), flush=True)
            for gib in options.limits:
                said, good = fits(gib, {}, meter, figures["vocab_size"])
                failed += not good
                print(f"{shape}, fit: auto, {said}", flush=True)
    if failed:
        sys.exit(f"benchmarks.memory: {failed} settings took more than was expected")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=list(shapes.SHAPES), default=["llama-3.2-1b", "smollm2-135m"])
    parser.add_argument("--micro", type=int, nargs="+", default=[1, 8, 32], help="sequences at once")
    parser.add_argument("--compiled", action="store_true", help="compiled steps, each setting some 15 s")
    parser.add_argument("--limits", type=float, nargs="*", default=[16, 8, 6, 4, 3], metavar="GIB")
    return parser.parse_args()


if __name__ == "__main__":
    main()
