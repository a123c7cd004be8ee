"""The results of all stages, read from their files and checked for consistency."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from copywriter import best_step, errors, params, paths, records, sources
from copywriter.errors import UserError
from copywriter.evaluation import predictions, row_statistics, scores
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.row_statistics import Statistics
from copywriter.evaluation.slices import BY
from copywriter.records import Example, Product
from copywriter.report import content

_NOT_TRAINING = {"dataset", "model", "clean", "sample", "split", "prompt", "decoding"}
_WITHOUT_EFFECT = {"tracking", "save_steps"}
_ADVANCED_WITHOUT_EFFECT = {"eval_steps", "log_steps"}

History = list[dict[str, float]]


@dataclass(frozen=True)
class Results:
    """One run of the pipeline, from its params to its scores."""

    given: params.Params
    dataset: sources.Dataset
    model: sources.Model
    clean: Any
    split: Any
    lengths: Any
    results: dict[str, Any]  # each side's scores, and those of the catalogue's own texts
    comparison: Any
    slices: Any
    receipt: Any  # the adapter's
    examples: dict[str, list[Example]]  # of each cleaning rule
    sides: dict[str, list[Prediction]]  # in the order of content.SIDES, with equal titles
    statistics: dict[str, Statistics]
    similarity: list[float]  # of each test title to the nearest training title
    histogram: list[dict[str, str]]
    train: History  # empty when nothing was trained
    validation: History
    products: list[Product]  # the training rows; not read, and empty, where no text has a source

    def shared(self) -> dict[str, Any]:
        """The values that both pages use, by their names in the templates."""
        return {
            "given": self.given,
            "dataset": self.dataset,
            "model": self.model,
            "training": flatten(
                self.given.model_dump(
                    exclude={
                        **dict.fromkeys(_NOT_TRAINING | _WITHOUT_EFFECT, True),
                        "advanced": _ADVANCED_WITHOUT_EFFECT,
                    }
                )
            ),
            "table": content.table(self.results, self.comparison),
            "comparison": self.comparison,
            "slices": self.slices | {"slices": [one for one in self.slices["slices"] if one["by"] != "copied"]},
            "copied": [one for one in self.slices["slices"] if one["by"] == "copied"],
            "slices_by": BY,
            "grades": [name for name in scores.GRADES if name in self.results["base"]],
            "names": scores.NAMES,
            "grade_names": ", ".join(scores.NAMES[name] for name in scores.GRADES if name in self.results["tuned"]),
            "explanations": [
                Markup(one.explanation)
                for key, one in scores.SCORES.items()
                if one.explanation and key in self.results["tuned"]
            ],
            "equal_texts": sum(
                base.written == tuned.written
                for base, tuned in zip(self.sides["base"], self.sides["tuned"], strict=True)
            ),
            "rows": len(self.sides["base"]),
            "clean": self.clean,
            "split": self.split,
            "lengths": self.lengths,
            "base": self.results["base"],
            "advice": best_step.advice(self.validation, self.given.epochs),
        }


def read(given: params.Params) -> Results:
    """Reads all results; UserError when a file is missing, or when two files are of different runs."""
    examples: dict[str, list[Example]] = {}
    for one in records.read_examples(paths.CLEANING_EXAMPLES):
        examples.setdefault(one.rule, []).append(one)
    sides = predictions.read_sides(content.SIDES)
    grounded = any(one.sources for rows in sides.values() for one in rows)
    found = Results(
        given=given,
        dataset=sources.dataset(given.dataset),
        model=sources.model(given.model),
        clean=_json(paths.CLEAN_COUNTS),
        split=_json(paths.SPLIT_COUNTS),
        lengths=_json(paths.LENGTHS),
        results={side: _json(paths.scores(side)) for side in ("catalogue", *content.SIDES)},
        comparison=_json(paths.COMPARISON),
        slices=_json(paths.SLICES),
        receipt=_json(paths.RECEIPT),
        examples=examples,
        sides=sides,
        statistics={side: row_statistics.read(paths.statistics(side)) for side in content.SIDES},
        similarity=[float(row["similarity"]) for row in _table(paths.SIMILARITY, "dvc repro baseline")],
        histogram=_table(paths.LENGTH_HISTOGRAM, "dvc repro analyze_lengths"),
        train=read_history(paths.TRAIN_HISTORY),
        validation=read_history(paths.VALIDATION_HISTORY),
        products=records.read_products(paths.TRAIN) if grounded else [],
    )
    check(found)
    return found


def check(found: Results) -> None:
    """UserError when the numbers are inconsistent, so that the files must be of different runs."""
    clean, split, rows = found.clean, found.split, len(found.sides["base"])
    dropped = sum(clean["dropped"].values())
    if clean["read"] != clean["kept"] + dropped:
        what = f"{clean['read']:,} rows read, but {clean['kept']:,} kept and {dropped:,} dropped"
        raise UserError(f"{paths.CLEAN_COUNTS} does not add up: {what}; run 'dvc repro --force clean'")
    all_rows = sum(split[part] for part in ("train", "validation", "test", "thinned"))
    if all_rows != (sampled := min(clean["kept"], found.given.sample.size)):
        raise UserError(f"{paths.SPLIT_COUNTS} has {all_rows:,} rows of {sampled:,} sampled; run 'dvc repro split'")
    base, tuned = found.results["base"], found.results["tuned"]
    for side in content.SIDES:
        if not (scored := found.results[side]["rows"]) == rows == split["test"]:
            what = f"has {scored:,} rows, but there are {rows:,} texts and {split['test']:,} test titles"
            raise UserError(f"{paths.scores(side)} {what}; run 'dvc repro evaluate baseline'")
    for key in ("signatures", "decoding", "scored"):
        if base[key] != tuned[key]:
            raise UserError(f"base and tuned were scored differently: their {key} differ; run 'dvc repro evaluate'")
    for before in ("base", "nearest"):
        for name, one in found.comparison[f"tuned_against_{before}"]["scores"].items():
            if (one["before"], one["after"]) != (found.results[before][name], tuned[name]):
                what = f"{paths.COMPARISON} and {paths.scores(before)} have different values of {name}"
                raise UserError(f"{what}; run 'dvc repro compare'")
    if not {"asked", "plan"} <= found.receipt.keys():
        raise UserError(f"{paths.RECEIPT} was written by another version of this project; run 'dvc repro train_qlora'")
    if (trained := found.receipt["base"]["model"]) != found.given.model:
        what = f"{paths.ADAPTER} was trained on {trained}, but params.yaml has model {found.given.model}"
        raise UserError(f"{what}; run 'dvc repro train_qlora'")


def flatten(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested values as texts by dotted key, in the form of `dvc exp run -S`."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{before}{key}.")
        else:
            flat[before + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _json(path: Path) -> Any:
    return json.loads(errors.existing(path, "dvc repro").read_text(encoding="utf-8"))


def _table(path: Path, command: str) -> list[dict[str, str]]:
    with errors.existing(path, command).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_history(path: Path) -> History:
    """The rows of a training history, without their empty cells; none when nothing was trained."""
    rows = _table(path, "dvc repro train_qlora")
    return [{key: float(value) for key, value in row.items() if value} for row in rows]
