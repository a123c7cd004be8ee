"""What is scored, against what could be: the same weights at `quantization`, unquantised, and in float32.

`python -m benchmarks.precision [--rows test] [--count N]`. evaluate scores base and adapter on the values that training
saw: the base's linear layers at `quantization`, the adapter merged in float32, the sum rounded to 16 bits on a GPU.
Both are scored here on the base's own weights too, and with every product in float32. Decoding is that of params.yaml.
"""

import argparse
import datetime
import gc
from collections.abc import Mapping
from pathlib import Path

import torch
import transformers

from benchmarks import quality
from benchmarks.quality import Judge, Side
from copywriter import errors, files, params, paths, records
from copywriter.errors import UserError
from copywriter.evaluation import significance, verdict
from copywriter.modeling import device, loading

SHOWN = ("nll", "bleu", "rougeL", "stopped")


def variants(p: params.Params) -> Mapping[str, tuple[str, str]]:
    """(quantization, precision) by what is said of it; the first is what evaluate does."""
    found: dict[str, tuple[str, str]] = {f"{p.quantization}, as evaluate": (p.quantization, p.precision)}
    if p.quantization != "none":
        found["unquantised"] = ("none", p.precision)
    if device.dtype(p.precision, device.choose()) is not torch.float32:
        found[f"{p.quantization}, float32"] = (p.quantization, "fp32")
    if len(found) == 1:
        raise UserError("quantization is none and precision is fp32: there is nothing to hold against it")
    return found


def measured(judge: Judge, weights: Path, p: params.Params) -> dict[str, Side]:
    """The same weights in each variant."""
    processor = device.choose()
    sides = {}
    for name, (quantization, precision) in variants(p).items():
        dense = loading.load_dense(weights, quantization, device.dtype(precision, processor), processor)
        sides[name] = judge.ask(dense, {"": p.decoding})[""]
        del dense
        gc.collect()
        torch.cuda.empty_cache()
    return sides


def differences(sides: dict[str, Side], p: params.Params) -> list[str]:
    """Each variant against the first, a sentence a score."""
    (first, one), *others = sides.items()
    told = []
    for name, other in others:
        found = significance.compare(one.statistics, other.statistics, p.seed)
        told += [verdict.sentence(score, found[score], first, name) for score in SHOWN]
    return told


def main() -> None:
    """Scores and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--rows", choices=list(quality.SETS), default="validation")
    parser.add_argument("--count", type=int, help="the first so many of them; all by default")
    parser.add_argument("--out", type=Path, default=paths.RUNS / "benchmarks" / "precision")
    options = parser.parse_args()
    p = params.load()
    try:
        rows = records.read_products(errors.existing(quality.SETS[options.rows], "dvc repro split"))[: options.count]
        judge = Judge(rows, p)
        weights = {"base": paths.BASE} | ({"tuned": paths.ADAPTER} if paths.ADAPTER.exists() else {})
        found = {name: measured(judge, folder, p) for name, folder in weights.items()}
    except UserError as error:
        raise SystemExit(f"precision: {error}") from None
    lines = []
    for name, sides in found.items():
        first = next(iter(sides.values()))
        lines += [((name, of, f"{quality.equal(first, side):.1%}"), side) for of, side in sides.items()]
    where = f"{device.name(device.choose())}, torch {torch.__version__}, transformers {transformers.__version__}"
    text = [f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {where}, {len(rows):,} {options.rows} rows", ""]
    text += [quality.table(("weights", "computed with", "texts equal to the first"), lines)]
    for name, sides in found.items():
        text += ["", f"{name}:", "", *(f"- {one}" for one in differences(sides, p))]
    content = {name: {of: side.scores for of, side in sides.items()} for name, sides in found.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    files.write_json(options.out / f"{options.rows}.json", {"rows": len(rows), "sides": content})
    quality.write(options.out, options.rows, "\n".join(text))


if __name__ == "__main__":
    main()
