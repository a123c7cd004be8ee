"""Tests the differences between tuned, base and the nearest-neighbour baseline for significance.

Reads  data/predictions_{base,tuned,nearest}.jsonl, data/statistics_{base,tuned,nearest}.parquet, data/similarity.csv
Writes metrics/comparison.json, metrics/slices.json, metrics/score_bars.csv
Params seed
"""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from copywriter import errors, files, params, paths, stage
from copywriter.errors import UserError
from copywriter.evaluation import predictions, row_statistics, scores, significance
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.row_statistics import COLUMNS, Statistics
from copywriter.evaluation.scores import GRADES
from copywriter.evaluation.slices import BY, slices
from copywriter.evaluation.verdict import outcome, sentence, verdict

SIDES = ("base", "tuned", "nearest")
BEFORE = ("base", "nearest")  # what tuned is compared with
SLICE_RESAMPLES = 2_000

Sides = Mapping[str, Statistics]


def compare(sides: Sides, before: str, seed: int) -> dict[str, Any]:
    """Tuned against `before`: each score's difference, interval, p-value and sentence, and the verdict."""
    found = significance.compare(sides[before], sides["tuned"], seed)
    return {
        "verdict": verdict(found, before, "tuned", len(sides["tuned"])),
        "scores": {
            name: dataclasses.asdict(one)
            | {"outcome": outcome(name, one), "sentence": sentence(name, one, before, "tuned")}
            for name, one in found.items()
        },
    }


def sliced(sides: Sides, rows: Sequence[Prediction], similarity: Sequence[float], seed: int) -> list[dict[str, Any]]:
    """Each slice's scores of all sides, and tuned's differences from base and nearest in GRADES with intervals."""
    found = []
    for by, shown, inside in slices(rows, similarity, copied_share(sides["tuned"])):
        parts = {side: values[inside] for side, values in sides.items()}
        values = {side: scores.rounded(part.sum(0)) for side, part in parts.items()}
        differences = {f"{before} to tuned": graded(parts, before, seed) for before in BEFORE}
        found.append({"by": by, "range": shown, "rows": int(inside.sum()), **values, **differences})
    return found


def graded(sides: Sides, before: str, seed: int) -> dict[str, Any]:
    """The differences of tuned from `before` in those GRADES that both have."""
    differences = significance.compare(sides[before], sides["tuned"], seed, SLICE_RESAMPLES)
    return {
        name: {"difference": one.difference, "low": one.low, "high": one.high, "outcome": outcome(name, one)}
        for name, one in differences.items()
        if name in GRADES
    }


def copied_share(tuned: Statistics) -> NDArray[np.float64]:
    """The share of each text's words that are copied from its sources."""
    words, copied = (tuned[:, COLUMNS.index(name)] for name in ("words", "copied_words"))
    return copied / np.maximum(words, 1)


def read_similarity(count: int) -> list[float]:
    """Similarity of each test title to the nearest training title; UserError unless there are `count`."""
    with errors.existing(paths.SIMILARITY, "dvc repro baseline").open(encoding="utf-8", newline="") as stream:
        found = [float(row["similarity"]) for row in csv.DictReader(stream)]
    if len(found) != count:
        raise UserError(f"{paths.SIMILARITY} has {len(found):,} titles, not {count:,}; run 'dvc repro baseline'")
    return found


def run(p: params.Params) -> str:
    """Reads, compares and writes; returns both verdicts for the log."""
    rows = predictions.read_sides(SIDES)["tuned"]
    sides = {side: row_statistics.read(paths.statistics(side)) for side in SIDES}
    for side, values in sides.items():
        if len(values) != len(rows):
            found = f"{paths.statistics(side)} has {len(values):,} rows, but there are {len(rows):,} texts"
            raise UserError(f"{found}; run 'dvc repro evaluate baseline'")
    intervals = {side: significance.intervals(values, p.seed) for side, values in sides.items()}
    against = {f"tuned_against_{before}": compare(sides, before, p.seed) for before in BEFORE}
    method = {"rows": len(rows), "resamples": significance.RESAMPLES, "seed": p.seed, "verdict_by": list(GRADES)}
    files.write_json(paths.COMPARISON, {**against, "intervals": intervals, "method": method})
    similarity = read_similarity(len(rows))
    files.write_json(
        paths.SLICES,
        {"by": BY, "category": "none: a row has a title and a description", "method": {"resamples": SLICE_RESAMPLES}}
        | {"slices": sliced(sides, rows, similarity, p.seed)},
    )
    with files.new_file(paths.SCORE_BARS) as new, new.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["score", "side", "value", "low", "high"])
        for side, values in sides.items():
            result = scores.rounded(values.sum(0))
            for name in scores.OVERLAP:
                writer.writerow([scores.NAMES[name], side, result[name], *intervals[side][name]])
    return " ".join(str(one["verdict"]) for one in against.values())


def main() -> None:
    """Runs the stage."""
    stage.run("compare", lambda: run(params.load()))


if __name__ == "__main__":
    main()
