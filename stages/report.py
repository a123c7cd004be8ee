"""Tells on one page what was trained on what, how well it writes, and what twenty titles look like before and after.

Reads   sources.yaml, data/cleaning_examples.jsonl, data/predictions_{base,tuned}.jsonl,
        metrics/{clean_counts,split_counts,lengths,base,tuned}.json, metrics/{train,validation}_history.csv
Writes  metrics/report.md
Params  all
"""

import csv
import hashlib
import html
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from copywriter import canonical, params, paths, records, sources, stage
from copywriter.evaluation import predictions
from copywriter.evaluation.predictions import Prediction
from copywriter.records import Example
from copywriter.stage import UserError

TEMPLATE = Path(__file__).with_suffix(".md.j2")
TITLES = 20
TEXT_CHARACTERS = 600  # of a text that is shown
CURVE_ROWS = 10
OVERLAP = {"bleu": "BLEU", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "chrf": "chrF"}
_NOT_TRAINING = {"dataset", "model", "clean", "sample", "split", "prompt", "decoding"}
_WITHOUT_EFFECT = {"tracking", "save_steps", "eval_steps", "log_steps"}

# What means something to Markdown or would become a link; < > & are HTML's and become entities.
_ACTIVE = re.compile(r"[\\`*_{}\[\]#|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LIST_OR_LINE = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=]))")

Pair = tuple[Prediction, Prediction]  # base, tuned
History = list[dict[str, float]]


def escape(text: str) -> str:
    """`text` on one line, to be read as it is by whoever renders Markdown; what does not print becomes U+FFFD."""
    line = " ".join(text.split())
    seen = "".join(char if char.isprintable() or char in "\u200c\u200d" else "\ufffd" for char in line)
    return _ACTIVE.sub(r"\\\g<0>", html.escape(seen, quote=False))


def quote(text: str) -> Markup:
    """`text` as a Markdown quotation, a paragraph a line."""
    lines = [_LIST_OR_LINE.sub(r"\1\\", escape(line)) for line in text.splitlines() if line.strip()]
    return Markup("\n>\n".join(f"> {line}" for line in lines) or "> *(nothing)*")


def visible(text: str) -> str:
    """`text` on one line, as it is but for what does not print, which shows as its escape: `\\n`, `\\u200b`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def diff(pairs: Sequence[Example]) -> Markup:
    """The pairs for a fenced block, two lines each, none of which can end it; Markdown leaves the rest as it is."""
    return Markup("\n\n".join(f"- {visible(pair.before)}\n+ {visible(pair.after)}" for pair in pairs))


def shorten(text: str, limit: int = TEXT_CHARACTERS) -> str:
    """At most `limit` characters from the start of `text`, whole words, and an ellipsis where something is left out."""
    text = text.strip()
    if len(text) <= limit:
        return text
    whole_words = re.match(rf".{{1,{limit}}}(?!\S)", text, re.DOTALL)
    return (whole_words[0].rstrip() if whole_words else text[:limit]) + " …"


def pair(base: Sequence[Prediction], tuned: Sequence[Prediction]) -> list[Pair]:
    """What both models wrote, title by title; UserError when they were not asked the same."""
    asked = [[(one.title, one.question, one.reference) for one in rows] for rows in (base, tuned)]
    if asked[0] != asked[1]:
        raise UserError(
            f"{paths.predictions('base')} and {paths.predictions('tuned')} are not for the same titles in the same "
            "order; run 'dvc repro evaluate'"
        )
    return list(zip(base, tuned, strict=True))


def choose(pairs: Sequence[Pair], count: int = TITLES) -> list[Pair]:
    """The pairs whose titles have the smallest hashes: the same ones in every run, picked by nobody."""
    return sorted(pairs, key=lambda one: hashlib.sha256(one[0].title.encode()).digest())[:count]


def thin(rows: History, count: int = CURVE_ROWS) -> History:
    """At most `count` rows, evenly spaced, the first and the last among them; of equal steps the last."""
    last = list({row["step"]: row for row in rows}.values())
    if len(last) <= count:
        return last
    return [last[round(index * (len(last) - 1) / (count - 1))] for index in range(count)]


def check(given: params.Params, clean: Any, split: Any, scores: dict[str, Any], predictions: int) -> None:
    """UserError when the numbers contradict each other: files of different runs."""
    dropped = sum(clean["dropped"].values())
    if clean["read"] != clean["kept"] + dropped:
        found = f"{clean['read']:,} rows read, but {clean['kept']:,} kept and {dropped:,} dropped"
        raise UserError(f"{paths.CLEAN_COUNTS} does not add up: {found}; run 'dvc repro --force clean'")
    rows = sum(split[part] for part in ("train", "validation", "test", "thinned"))
    if rows != (sampled := min(clean["kept"], given.sample.size)):
        raise UserError(f"{paths.SPLIT_COUNTS} has {rows:,} rows of {sampled:,} sampled; run 'dvc repro split'")
    for variant, result in scores.items():
        if not result["rows"] == predictions == split["test"]:
            found = f"scores {result['rows']:,} texts, {predictions:,} are written, {split['test']:,} titles are tested"
            raise UserError(f"{paths.scores(variant)} {found}; run 'dvc repro evaluate'")
    for key in ("signatures", "decoding"):
        if scores["base"][key] != scores["tuned"][key]:
            raise UserError(f"base and tuned were not scored alike: their {key} differ; run 'dvc repro evaluate'")


def flatten(values: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested values as texts under dotted keys, as `dvc exp run -S` takes them."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{before}{key}.")
        else:
            flat[before + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def difference(base: float, tuned: float, digits: int = 2) -> str:
    """tuned - base of the numbers as they are shown, with its sign."""
    return f"{round(round(tuned, digits) - round(base, digits), digits) + 0.0:+.{digits}f}"


def render(**values: Any) -> str:
    """The page. Every text in it is escaped, unless a filter here made it Markdown."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "code": lambda text: Markup(f"`{text.replace('`', chr(39))}`"),
        "count": lambda number: f"{number:,}",
        "diff": diff,
        "fixed": lambda number, digits=2: f"{number:.{digits}f}",
        "percent": lambda share: f"{share:.1%}",
        "quote": quote,
        "shorten": shorten,
    }
    environment.filters.update(filters)
    environment.globals["difference"] = difference
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**values)


def read_json(path: Path) -> Any:
    """What a stage wrote."""
    return json.loads(stage.existing(path, "dvc repro").read_text(encoding="utf-8"))


def read_history(path: Path) -> History:
    """The rows of a training history; none when nothing was trained."""
    with stage.existing(path, "dvc repro train_qlora").open(encoding="utf-8", newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def run(given: params.Params) -> str:
    """Reads, checks and writes; the summary for the log."""
    pairs = pair(*(predictions.read(paths.predictions(variant)) for variant in ("base", "tuned")))
    clean, split = read_json(paths.CLEAN_COUNTS), read_json(paths.SPLIT_COUNTS)
    scores = {variant: read_json(paths.scores(variant)) for variant in ("base", "tuned")}
    check(given, clean, split, scores, len(pairs))
    examples: dict[str, list[Example]] = {}
    for one in records.read_examples(paths.CLEANING_EXAMPLES):
        examples.setdefault(one.rule, []).append(one)
    page = render(
        given=given,
        dataset=sources.dataset(given.dataset),
        model=sources.model(given.model),
        training=flatten(given.model_dump(exclude=_NOT_TRAINING | _WITHOUT_EFFECT)),
        overlap=OVERLAP,
        higher=sum(scores["tuned"][key] > scores["base"][key] for key in OVERLAP),
        equal_texts=sum(base.written == tuned.written for base, tuned in pairs),
        rows=len(pairs),
        chosen=choose(pairs),
        characters=TEXT_CHARACTERS,
        clean=clean,
        examples=examples,
        split=split,
        lengths=read_json(paths.LENGTHS),
        train=read_history(paths.TRAIN_HISTORY),
        validation=thin(read_history(paths.VALIDATION_HISTORY)),
        **scores,
    )
    with canonical.new_file(paths.REPORT) as aside:
        aside.write_text(page, encoding="utf-8")
    return f"{len(pairs):,} test titles, {min(TITLES, len(pairs))} of them shown in {paths.REPORT}"


def main() -> None:
    """Wires the stage."""
    stage.run("report", lambda: run(params.load()))


if __name__ == "__main__":
    main()
