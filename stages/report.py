"""Tells on two pages what was trained on what, how well it writes, and what came out: one to read, one to search.

Reads   sources.yaml, data/cleaning_examples.jsonl, data/{predictions,statistics}_{base,tuned,nearest}.*,
        data/similarity.csv, metrics/{clean_counts,split_counts,lengths,base,tuned,nearest,catalogue}.json,
        metrics/{comparison,slices}.json, metrics/length_histogram.csv, metrics/{train,validation}_history.csv
Writes  metrics/report.md (twenty titles), metrics/report.html (all of them, one file that needs no network)
Params  all
"""

import base64
import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from copywriter import canonical, params, paths, records, sources, stage
from copywriter.evaluation import charts, markdown, page, predictions, scores, statistics
from copywriter.evaluation.markdown import escape
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.slices import BY
from copywriter.evaluation.verdict import GRADES, number
from copywriter.records import Example
from copywriter.stage import UserError

TEMPLATES = Path(__file__).parent
TITLES = 20
TEXT_CHARACTERS = 600  # of a text that is shown
CURVE_ROWS = 10
_NOT_TRAINING = {"dataset", "model", "clean", "sample", "split", "prompt", "decoding"}
_WITHOUT_EFFECT = {"tracking", "save_steps", "eval_steps", "log_steps"}

Row = tuple[Prediction, ...]  # of one title: nearest, base, tuned
History = list[dict[str, float]]


def choose(rows: Sequence[Row], count: int = TITLES) -> list[Row]:
    """The rows whose titles have the smallest hashes: the same ones in every run, picked by nobody."""
    return sorted(rows, key=lambda one: hashlib.sha256(one[0].title.encode()).digest())[:count]


def thin(rows: History, count: int = CURVE_ROWS) -> History:
    """At most `count` rows, evenly spaced, the first and the last among them; of equal steps the last."""
    last = list({row["step"]: row for row in rows}.values())
    if len(last) <= count:
        return last
    return [last[round(index * (len(last) - 1) / (count - 1))] for index in range(count)]


def check(given: params.Params, clean: Any, split: Any, results: dict[str, Any], comparison: Any, rows: int) -> None:
    """UserError when the numbers contradict each other: files of different runs."""
    dropped = sum(clean["dropped"].values())
    if clean["read"] != clean["kept"] + dropped:
        found = f"{clean['read']:,} rows read, but {clean['kept']:,} kept and {dropped:,} dropped"
        raise UserError(f"{paths.CLEAN_COUNTS} does not add up: {found}; run 'dvc repro --force clean'")
    all_rows = sum(split[part] for part in ("train", "validation", "test", "thinned"))
    if all_rows != (sampled := min(clean["kept"], given.sample.size)):
        raise UserError(f"{paths.SPLIT_COUNTS} has {all_rows:,} rows of {sampled:,} sampled; run 'dvc repro split'")
    for side, result in results.items():
        if not result["rows"] == rows == split["test"]:
            found = f"scores {result['rows']:,} texts, {rows:,} are written, {split['test']:,} titles are tested"
            raise UserError(f"{paths.scores(side)} {found}; run 'dvc repro evaluate baseline'")
    for key in ("signatures", "decoding", "scored"):
        if results["base"][key] != results["tuned"][key]:
            raise UserError(f"base and tuned were not scored alike: their {key} differ; run 'dvc repro evaluate'")
    for before in ("base", "nearest"):
        for name, one in comparison[f"tuned_against_{before}"]["scores"].items():
            if (one["before"], one["after"]) != (results[before][name], results["tuned"][name]):
                raise UserError(
                    f"{paths.COMPARISON} is of other scores than {before}'s {name}; run 'dvc repro compare'"
                )


def flatten(values: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested values as texts under dotted keys, as `dvc exp run -S` takes them."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{before}{key}.")
        else:
            flat[before + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


FILTERS: dict[str, Callable[..., str]] = {
    "code": lambda text: Markup(f"`{text.replace('`', chr(39))}`"),
    "count": lambda value: f"{value:,}",
    "diff": markdown.diff,
    "fixed": lambda value, digits=2: f"{value:.{digits}f}",
    "percent": lambda share: f"{share:.1%}",
    "quote": markdown.quote,
    "score": lambda value, name, signed=False: number(name, value, signed),
    "shorten": lambda text, limit=TEXT_CHARACTERS: markdown.shorten(text, limit),
}


def render(template: str, **values: Any) -> str:
    """A page. Every text in it is escaped for its format, unless something of ours made it that format's."""
    as_markdown = template.endswith(".md.j2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=not as_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    if as_markdown:
        environment.finalize = lambda value: value if isinstance(value, Markup) else escape(str(value))
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(**values)


def pictures(train: History, validation: History, groups: Any) -> dict[str, Any]:
    """The page's charts: scores with their intervals, losses, and the three length histograms."""
    curves = {
        "loss": [(row["step"], row["loss"]) for row in train],
        "eval_loss": [(row["step"], row["eval_loss"]) for row in validation],
    }
    histograms: dict[str, list[tuple[float, float, float]]] = {}
    limits: dict[str, float] = {}
    for row in read_table(paths.LENGTH_HISTOGRAM, "dvc repro analyze_lengths"):
        histograms.setdefault(row["part"], []).append((float(row["over"]), float(row["tokens"]), float(row["rows"])))
        limits[row["part"]] = float(row["limit"])
    return {
        "scores": charts.bars(groups, "0 to 100"),
        "losses": charts.lines(curves, "optimizer step", "loss per token (nats)"),
        "lengths": {
            part: charts.histogram(bins, limits[part], f"{part} tokens", "training rows")
            for part, bins in histograms.items()
        },
    }


def read_json(path: Path) -> Any:
    """What a stage wrote."""
    return json.loads(stage.existing(path, "dvc repro").read_text(encoding="utf-8"))


def read_table(path: Path, command: str) -> list[dict[str, str]]:
    """The rows of a CSV file that `command` makes."""
    with stage.existing(path, command).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_history(path: Path) -> History:
    """The rows of a training history, without their empty cells; none when nothing was trained."""
    rows = read_table(path, "dvc repro train_qlora")
    return [{key: float(value) for key, value in row.items() if value} for row in rows]


def run(given: params.Params) -> str:
    """Reads, checks and writes; the summary for the log."""
    sides = predictions.read_sides(page.SIDES)
    rows = list(zip(*sides.values(), strict=True))
    clean, split = read_json(paths.CLEAN_COUNTS), read_json(paths.SPLIT_COUNTS)
    results = {side: read_json(paths.scores(side)) for side in ("catalogue", *page.SIDES)}
    comparison = read_json(paths.COMPARISON)
    check(given, clean, split, results, comparison, len(rows))
    examples: dict[str, list[Example]] = {}
    for one in records.read_examples(paths.CLEANING_EXAMPLES):
        examples.setdefault(one.rule, []).append(one)
    train, validation = read_history(paths.TRAIN_HISTORY), read_history(paths.VALIDATION_HISTORY)
    both = {
        "given": given,
        "dataset": sources.dataset(given.dataset),
        "model": sources.model(given.model),
        "training": flatten(given.model_dump(exclude=_NOT_TRAINING | _WITHOUT_EFFECT)),
        "table": page.table(results, comparison),
        "comparison": comparison,
        "slices": read_json(paths.SLICES),
        "slices_by": BY,
        "grades": [name for name in GRADES if name in results["base"]],
        "names": scores.NAMES,
        "equal_texts": sum(base.written == tuned.written for _, base, tuned in rows),
        "rows": len(rows),
        "clean": clean,
        "split": split,
        "lengths": read_json(paths.LENGTHS),
        "base": results["base"],
    }
    chosen = {"chosen": choose(rows), "characters": TEXT_CHARACTERS, "examples": examples}
    text = render("report.md.j2", **both, **chosen, train=train, validation=thin(validation))
    found = {side: statistics.read(paths.statistics(side)) for side in page.SIDES}
    similarity = [float(row["similarity"]) for row in read_table(paths.SIMILARITY, "dvc repro baseline")]
    groups = {
        scores.NAMES[name]: {side: (results[side][name], *comparison["intervals"][side][name]) for side in page.SIDES}
        for name in scores.OVERLAP
    }
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    html = render(
        "report.html.j2",
        **both,
        pictures=pictures(train, validation, groups),
        texts=page.script_data(page.texts(sides, found, similarity)),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
    )
    for path, content in ((paths.REPORT, text), (paths.REPORT_PAGE, html)):
        with canonical.new_file(path) as aside:
            aside.write_text(content, encoding="utf-8", newline="\n")
    return f"{len(rows):,} test titles in {paths.REPORT_PAGE}, {min(TITLES, len(rows))} of them in {paths.REPORT}"


def main() -> None:
    """Wires the stage."""
    stage.run("report", lambda: run(params.load()))


if __name__ == "__main__":
    main()
