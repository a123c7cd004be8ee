"""The plain recipe beside this project's, on the same rows: `python -m benchmarks.plain [--rows test]`.

Trains what benchmarks/recipe.py says on data/train.parquet, once for each of --epochs, and scores it as evaluate does:
the same prompts, the same reference tokens, both decodings. models/adapter stands beside it when it is there. Trainings
that ended are kept under runs/benchmarks/plain; one that --minutes cut short goes on at the next call.
"""

import argparse
import datetime
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks import quality, recipe
from benchmarks.quality import Judge, Side
from copywriter import errors, files, params, paths, records
from copywriter.errors import UserError
from copywriter.modeling import device, loading
from copywriter.training import receipt
from stages import train_qlora
from tests.support import process, tiny

PLAIN, OURS = "greedy", "params.yaml"  # decodings
TINY = {  # changes to params.yaml
    "max_length": 160,
    "max_prompt_length": 64,
    "batch_size": 2,
    "micro_batch_size": 2,
    "epochs": 0,
    "tracking": [],
    "decoding.max_new_tokens": 24,
    "decoding.batch_size": 8,
}


def train(options: argparse.Namespace) -> None:
    """Trains what is not trained yet, all at once: each is bound by the processor, not by the card."""
    started = []
    for epochs in options.epochs:
        folder = recipe.folder_of(epochs, options.steps, options.out)
        if recipe.finished(folder) is None:
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "benchmarks.plain", "--only", str(epochs), "--out", str(options.out)]
            command += ["--minutes", str(options.minutes)]
            command += ["--steps", str(options.steps)] if options.steps else []
            log = (folder / "log").open("a")
            started.append((folder, subprocess.Popen(command, stdout=log, stderr=log, env=_environment())))
    for folder, one in started:
        if one.wait():
            last = (folder / "log").read_text().strip().splitlines()[-1:]
            raise UserError(f"the training in {folder} failed: {''.join(last)}; its log stands there")


def score(judge: Judge, weights: Path, p: params.Params) -> dict[str, Side]:
    """What a model writes under both decodings, its adapter merged as evaluate merges it."""
    processor = device.choose()
    dense = loading.load_dense(weights, p.quantization, device.dtype(p.precision, processor), processor)
    found = judge.ask(dense, {PLAIN: quality.plain(p.decoding), OURS: p.decoding})
    del dense
    gc.collect()
    torch.cuda.empty_cache()
    return found


def checked(judge: Judge, ours: Side, adapter: Path, p: params.Params, count: int) -> str:
    """How far this project's generation and transformers' agree on the first rows, as a table and a sentence."""
    theirs = judge.side(recipe.texts(adapter, judge.prompts[:count], p), {})
    first = Side(ours.texts[:count], ours.statistics[:count])
    share = f"{quality.equal(first, theirs):.1%} of the first {len(theirs.texts)} texts are equal"
    return f"{adapter.name}, greedy, {share}:\n\n" + quality.table(
        ["written by"], [(["ours, adapter merged"], first), (["generate, adapter beside 4 bits"], theirs)]
    )


def report(options: argparse.Namespace, p: params.Params) -> None:
    """Scores every side and writes the table, its differences and the same as JSON."""
    judge = Judge(records.read_products(errors.existing(quality.SETS[options.rows], "dvc repro split")), p)
    weights, trainings = {"base": paths.BASE}, {}
    for epochs in options.epochs:
        folder = recipe.folder_of(epochs, options.steps, options.out)
        if (one := recipe.finished(folder)) is not None:
            name = f"plain, {folder.name.replace('-', ' ')}"
            weights[name], trainings[name] = folder, one
        else:
            print(f"{folder}: not at its end yet; call again", file=sys.stderr)
    plain = list(trainings)
    if (paths.ADAPTER / loading.WEIGHTS).exists():
        weights["ours"], trainings["ours"] = paths.ADAPTER, learned(paths.ADAPTER)
    sides = {name: score(judge, folder, p) for name, folder in weights.items()}
    where = f"{device.name(device.choose())}, torch {torch.__version__}, transformers {transformers.__version__}"
    text = [f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {where}, {len(judge.rows):,} {options.rows} rows", ""]
    lines = [((name, decoding), side) for name, both in sides.items() for decoding, side in both.items()]
    text += [quality.table(("weights", "decoding"), lines), ""]
    text += [f"- {name}: {one['steps']:,} steps, {one['tokens']:,} tokens" for name, one in trainings.items()]
    differences = {}
    for name in plain if "ours" in sides else []:
        two = (f"{name}, {PLAIN}", sides[name][PLAIN], "ours", sides["ours"][OURS])
        differences[name] = quality.against(*two, p.seed)
        text += ["", *(f"- {one}" for one in differences[name])]
    if options.check and plain:
        text += ["", checked(judge, sides[plain[-1]][PLAIN], weights[plain[-1]], p, options.check)]
    found = {name: {which: side.scores for which, side in both.items()} for name, both in sides.items()}
    content = {"rows": len(judge.rows), "sides": found, "trainings": trainings, "differences": differences}
    files.write_json(options.out / f"{options.rows}.json", content)
    quality.write(options.out, options.rows, "\n".join(text))


def learned(adapter: Path) -> dict[str, Any]:
    """What the receipt of an adapter of ours says of its training."""
    of = receipt.read(adapter)
    epochs = of["params"]["epochs"]
    return {"epochs": epochs, "steps": of["steps"], "tokens": epochs * of["tokens_per_epoch"]}


def _environment() -> dict[str, str]:
    """Children see one GPU: Trainer would spread its batch over all."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return process.environment() | {"CUDA_VISIBLE_DEVICES": gpu}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain", description=__doc__)
    parser.add_argument("--rows", choices=list(quality.SETS), default="validation", help="what is scored")
    parser.add_argument("--epochs", type=float, nargs="+", default=[1.5, 3.0])
    parser.add_argument("--steps", type=int, help="optimizer steps in place of the epochs")
    parser.add_argument("--minutes", type=float, default=60, help="after which a training pauses; call again to go on")
    parser.add_argument(
        "--check", type=int, default=64, help="rows that transformers' generate writes as well; 0: none"
    )
    parser.add_argument("--out", type=Path, help="for adapters, logs and tables; runs/benchmarks/plain by default")
    parser.add_argument("--tiny", action="store_true", help="a toy of a model and of a catalogue, for a CPU")
    parser.add_argument("--only", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = (options.out or paths.RUNS / "benchmarks" / ("plain-tiny" if options.tiny else "plain")).resolve()
    return options


def _tiny_room(folder: Path) -> None:
    """A working folder with an untrained adapter in it."""
    weights = tiny.base(folder / "base")
    tiny.room(folder / "room", weights, TINY, rows=40)
    os.chdir(folder / "room")
    train_qlora.run(params.load())


def main() -> None:
    """Trains, scores and prints."""
    options = _options()
    if options.only is not None:
        folder = recipe.folder_of(options.only, options.steps, options.out)
        rows = records.read_products(paths.TRAIN)
        recipe.train(rows, params.load(), options.only, options.steps, options.minutes, folder)
        return
    with tempfile.TemporaryDirectory(prefix="copywriter-plain-") as scratch:
        if options.tiny:
            _tiny_room(Path(scratch))
        try:
            train(options)
            report(options, params.load())
        except UserError as error:
            raise SystemExit(f"plain: {error}") from None


if __name__ == "__main__":
    main()
