"""Training on one GPU and on all visible ones, the same rows and batches: `python -m benchmarks.processes`.

Prints real tokens/s of both, their ratio, and the largest relative difference of their losses.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from benchmarks import synthetic
from benchmarks.sides import SEED, Job, Side
from benchmarks.trainers import ours
from copywriter.errors import UserError
from copywriter.modeling import device
from copywriter.training import data_order, launch
from tests.support import shapes

NAME = "benchmarks.processes"


class _Clock(TrainerCallback):
    """Counts the real tokens of all processes and the seconds between two steps, then ends the training."""

    def __init__(self, trainer: Any, warmup: int, steps: int) -> None:
        """Wraps the training step of `trainer` and registers the callback."""
        self._trainer, self._first, self._last = trainer, warmup, warmup + steps
        self._counts = torch.zeros(2, dtype=torch.int64, device=trainer.args.device)
        self._begin = (0.0, 0)
        self.rate = 0.0
        step = trainer.training_step

        def counted(model: Any, inputs: Any, *rest: Any) -> Any:
            self._counts += synthetic.count_tokens(inputs["input_ids"]).to(self._counts.device)
            return step(model, inputs, *rest)

        trainer.training_step = counted
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        """Takes the time when all processes have finished the step."""
        if state.global_step in (self._first, self._last):
            tokens = int(self._trainer.accelerator.reduce(self._counts.clone())[0])  # waits for the device too
            now = time.perf_counter()
            self.rate = (tokens - self._begin[1]) / (now - self._begin[0])
            self._begin = (now, tokens)
        control.should_training_stop = state.global_step >= self._last


def train(options: argparse.Namespace) -> str:
    """Trains as one of the processes; the main one writes what was measured."""
    team = launch.team()
    figures = shapes.figures(options.shape, options.tiny)
    weights = options.scratch / options.shape
    if team.is_main_process and not weights.exists():
        synthetic.build(weights, figures, device.choose())
    team.wait_for_everyone()
    micro = data_order.micro_batch(options.batch, options.micro, team.num_processes)
    changes = {"advanced.dequantize": True, "batch_size": options.batch, "micro_batch_size": micro}
    job = Job(
        shape=options.shape,
        side="",
        tiny=options.tiny,
        weights=weights,
        folder=options.scratch / "run",
        result=options.result,
        kernels=options.result,
        rows=options.rows,
        micro=micro,
        warmup=options.warmup,
        steps=options.steps,
        seconds=0,
        apart=0,
        profiled=0,
        started=0,
    )
    training: Any = ours(
        Side("ours-dense", "ours", "4bit", "", changes=changes),
        job,
        synthetic.draw(options.rows, figures["vocab_size"], SEED),
    )
    clock = _Clock(training, options.warmup, options.steps)
    training.train()
    if team.is_main_process:
        peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        losses = [entry["loss"] for entry in training.state.log_history if "loss" in entry]
        way = training.plan.describe()[0]
        found = {"rate": clock.rate, "micro": micro, "losses": losses, "peak_gib": peak, "way": way}
        options.result.write_text(json.dumps(found))
    return f"{clock.rate:,.0f} real tokens/s in {team.num_processes} processes"


def main(arguments: list[str] | None = None) -> None:
    """Trains in one process and then in all, and prints the comparison."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _options(given)
    if options.result:
        if "RANK" in os.environ:
            launch.join(NAME, lambda: train(options))
        else:
            train(options)
        return
    results: dict[int, dict[str, Any]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="copywriter-benchmark-") as scratch:
            for processes in sorted({1, launch.wanted()}):
                file = Path(scratch) / f"{processes}.json"
                part = [*given, "--scratch", scratch, "--result", str(file)]
                if processes == 1:
                    subprocess.run([sys.executable, "-m", NAME, *part], check=True)
                else:
                    launch.start(NAME, NAME, part, processes)
                results[processes] = json.loads(file.read_text())
    except (UserError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{NAME}: {error}") from None
    print(f"{options.shape}, batch {options.batch}, torch {torch.__version__}; each step is {results[1]['way']}")
    one = results[1]
    for processes, found in results.items():
        apart = max(abs(a / b - 1) for a, b in zip(found["losses"], one["losses"], strict=True))
        print(
            f"{processes} processes: {found['rate']:,.0f} real tokens/s ({found['rate'] / one['rate']:.2f} x), "
            f"micro-batch {found['micro']}, peak {found['peak_gib']:.1f} GiB, losses at most {apart:.1e} apart"
        )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--shape", choices=list(shapes.SHAPES), default="llama-3.2-1b")
    parser.add_argument("--batch", type=int, default=64, help="sequences a step, over all processes")
    parser.add_argument("--micro", type=int, default=64, help="at most so many at once in a process")
    parser.add_argument("--warmup", type=int, default=10, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rows", type=int, default=32000)
    parser.add_argument("--tiny", action="store_true", help="a toy shape, to try this out on a CPU")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
