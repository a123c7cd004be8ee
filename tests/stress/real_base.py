"""Checks training and export with the base model in models/base: `python -m tests.stress.real_base`, with data/.

A short training on rows of data/train.parquet in a folder of its own, then five checks, a table row each: the captured
step equals an eager one, fresh processes compute the same gradient, packed rows equal padded ones, the merged export
equals base and adapter, a killed training equals an uninterrupted one. Exit code 1 when a check fails its limit. The
working folder stays as it is.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import yaml

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.modeling import device, loading
from copywriter.params import Params
from copywriter.training import experiment
from copywriter.training.experiment import Experiment
from copywriter.training.trainer import QloraTrainer
from stages import train_qlora
from tests.stress import base_checks
from tests.stress.base_checks import Losses, Result, Side
from tests.support import excerpt, trial

CHANGES: dict[str, Any] = {
    "batch_size": 4,
    "micro_batch_size": 2,
    "epochs": 5,
    "learning_rate": 0.0003,
    "packing": True,
    "save_steps": 8,
    "tracking": [],
    "lora.dropout": 0.0,  # a compiled step draws other numbers than an eager one
    "schedule.warmup_steps": 4,
    "advanced.train_on_unsupported": True,  # float32 likelihoods, the measure of rounding, are of whole responses
    "advanced.log_steps": 1,
    "advanced.eval_steps": 8,
    "advanced.compile": True,
    "advanced.cuda_graph": True,
}
EAGER = {"advanced.compile": False, "advanced.cuda_graph": False}
Found = TypeVar("Found")


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, makes the folders and prints the table."""
    options = _options(arguments)
    changes = CHANGES | {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in options.set)}
    try:
        p = trial.changed(params.load(), changes)
        base = loading.base_identity(paths.BASE)["model"]
        with tempfile.TemporaryDirectory(prefix="copywriter-real-base-") as scratch:
            whole, struck = Path(scratch) / "whole", Path(scratch) / "struck"
            excerpt.write(whole, p, options.rows, max(4, options.rows // 4))
            shutil.copytree(whole, struck, symlinks=True)
            with inside(whole):
                results = checked(p, options.checks, struck, options.processes)
        print(f"{base}, {options.rows} rows, {p.quantization}, on {device.name(device.choose())}:\n")
    except UserError as error:
        sys.exit(f"tests.stress.real_base: {error}")
    print(base_checks.table(results))
    if failed := [name for name, one in results.items() if one.passed is False]:
        sys.exit(f"tests.stress.real_base: failed: {', '.join(failed)}")


def checked(p: Params, wanted: Sequence[str], struck: Path, processes: int) -> dict[str, Result]:
    """The results of the wanted checks in this working folder.

    struck: an equal folder, for the killed training; processes: how many compute a gradient.
    """
    results = {}
    captured, losses, micro_batches = timed("training", lambda: train(p, wanted))
    if captured:
        results["captured"] = told("captured", captured)
    if "repeated" in wanted:
        results["repeated"] = told("repeated", timed("gradients", lambda: base_checks.repeated(processes)))
    if losses or "merged" in wanted:
        rows = base_checks.examples(paths.ADAPTER, p)
        adapter = timed("adapter", lambda: Side.of(paths.ADAPTER, p, rows))
        if losses:
            results["packed"] = told("packed", base_checks.packed(losses, adapter.nll))
        if "merged" in wanted:
            results["merged"] = told("merged", timed("export", lambda: base_checks.export(p, rows, adapter)))
    if "killed" in wanted:
        results["killed"] = timed("kill", lambda: base_checks.killed(struck, micro_batches))
    return results


def told(name: str, result: Result) -> Result:
    """`result`, printed to stderr at once: a run that is cut off has shown what it found."""
    print(base_checks.table({name: result}), file=sys.stderr, flush=True)
    return result


def train(p: Params, wanted: Sequence[str]) -> tuple[Result | None, Losses | None, int]:
    """Trains as the stage does, and eagerly: the two results that need both trainers, and the run's micro-batches."""
    captured = losses = None
    with kept_trainers() as kept:
        train_qlora.run(p)
    [(made, training)] = kept
    found = base_checks.losses(training)
    print(f"losses of {len(found)} steps: {found[0]:.3f} to {found[-1]:.3f}", file=sys.stderr)
    if {"captured", "packed"} & set(wanted):
        eager = experiment.prepare(trial.changed(p, EAGER)).trainer(paths.RUNS / "eager")
        if "captured" in wanted:
            eager.replay(None, training.state.max_steps)
            captured = base_checks.captured(made, training, eager)
        if "packed" in wanted:
            eager.step.weights.data.copy_(training.step.weights)
            losses = Losses.of(made, training, eager)
    return captured, losses, len(training.order) * p.epochs


def timed(name: str, work: Callable[[], Found]) -> Found:
    """The result of `work`, whose models are then freed; its seconds go to stderr."""
    start = time.perf_counter()
    result = work()
    base_checks.free()
    print(f"tests.stress.real_base: {name} {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return result


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """A context in a working folder with its own runs/, where trainings use one process and write no word to stdout."""
    runs = folder / "runs"
    with (
        chdir(folder),
        redirect_stdout(sys.stderr),
        mock.patch.object(paths, "RUNS", runs),
        mock.patch.object(paths, "SPEED", runs / "speed.json"),
        mock.patch.dict(os.environ, {"COPYWRITER_PROCESSES": "1"}),
    ):
        yield


@contextmanager
def kept_trainers() -> Iterator[list[tuple[Experiment, QloraTrainer]]]:
    """A context in which every trainer that an experiment makes is kept, with its experiment."""
    kept: list[tuple[Experiment, QloraTrainer]] = []
    trainer = Experiment.trainer

    def keeping(of: Experiment, *given: Any, **named: Any) -> QloraTrainer:
        training = trainer(of, *given, **named)
        kept.append((of, training))
        return training

    with mock.patch.object(Experiment, "trainer", keeping):
        yield kept


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    checks = list(base_checks.TITLES)
    parser = argparse.ArgumentParser(prog="python -m tests.stress.real_base", description=__doc__)
    parser.add_argument("--rows", type=int, default=64, help="training rows, from 8; a quarter as many are held out")
    parser.add_argument("--checks", nargs="+", choices=checks, default=checks)
    parser.add_argument("--processes", type=int, default=8, help="that compute a gradient, two at once")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to params.yaml")
    options = parser.parse_args(arguments)
    if options.rows < 8:
        parser.error("--rows is below 8")
    return options


if __name__ == "__main__":
    main()
