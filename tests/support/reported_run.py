"""The files of a run that the report reads, and the pages that it makes of them."""

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from markdown_it import MarkdownIt

from copywriter import paths, records
from copywriter.evaluation import predictions as predictions_file
from copywriter.evaluation import row_statistics
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.scores import GRADES
from copywriter.records import Example
from stages import report
from tests.conftest import ROOT, changed

NASTY = [
    "a | b | c",
    "`code` and ```` fences ````",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "# Heading",
    "## 20 titles",
    "> quoted",
    "- item",
    "1. first",
    "12) twelfth",
    "+ plus",
    "===",
    "---",
    "~~~ fence",
    "*bold* _slanted_ **both** ~~gone~~",
    "[text](https://example.com) ![picture](x.png) [^1]",
    "<!-- hidden",
    "&lt; &amp; &#124; AT&T",
    "back\\slash \\| \\",
    "$x$ @someone {{ given.seed }} {% raw %}",
    "https://example.com www.example.com someone@example.com",
    'O\'Neill "5 inch" — 2,50 €',
]
EXAMPLES = [Example("entities", "A &amp; B", "A & B"), Example("spaces", "… a\n\u200b  b", "… a b")]
LENGTHS = {"mean": 40.25, "p50": 38, "max": 1203, "over_limit": 0.025, "smallest_limit": {"95%": 71, "99%": 83}}


SCORES = {
    "bleu": 0.4567,
    "rouge1": 5.8,
    "rouge2": 1.4,
    "rougeL": 5.2,
    "chrf": 12.1,
    "nll": 3.8321,
    "stopped": 0.25,
    "length_ratio": 2.5,
    "repeated_4grams": 0.625,
    "memorised_8grams": 0.004,
    "ungrounded_per_100_words": 0.5,
    "texts_with_ungrounded": 0.375,
    "unconfirmed_per_100_words": 0.0625,
    "texts_with_unconfirmed": 0.25,
}
OF_A_MODEL = ("nll", "stopped")
SETTINGS = {"signatures": ["BLEU|tok:13a"], "decoding": ["max_new_tokens:450"], "scored": ["the 4bit weights"]}


def scores(**values: float) -> dict[str, Any]:
    return SCORES | SETTINGS | {"rows": 40} | values


BASE, TUNED = scores(), scores(bleu=1.3811, rouge2=1.1, stopped=0.9, texts_with_ungrounded=0.45)
NEAREST = {name: value for name, value in scores(bleu=15.04).items() if name not in (*OF_A_MODEL, "decoding", "scored")}
OUTCOMES = {"bleu": "better", "rouge2": "worse", "stopped": "better"}


def against(before: dict[str, Any], verdict: str) -> dict[str, Any]:
    found = {}
    for name in SCORES.keys() & before.keys():
        change = round(TUNED[name] - before[name], 4)
        ends = {"low": round(change - 0.25, 4), "high": round(change + 0.25, 4), "p": 0.01, "smallest": 0.35}
        words = {"outcome": OUTCOMES.get(name, "tie"), "sentence": f"{name} in words."}
        found[name] = {"before": before[name], "after": TUNED[name], "difference": change, **ends, **words}
    return {"verdict": verdict, "scores": found}


COMPARISON = {
    "tuned_against_base": against(BASE, "On 40 titles, tuned against base: better by BLEU."),
    "tuned_against_nearest": against(NEAREST, "On 40 titles, tuned against nearest: worse by BLEU."),
    "intervals": {
        side: {
            name: [round(found[name] - 0.1, 4), round(found[name] + 0.1, 4)] for name in SCORES.keys() & found.keys()
        }
        for side, found in (("base", BASE), ("tuned", TUNED), ("nearest", NEAREST))
    },
    "method": {"rows": 40, "resamples": 10000, "seed": 42},
}
CHANGE = {"difference": 0.9244, "low": -0.1, "high": 2.0, "outcome": "tie"}
SLICE = {
    "by": "title words",
    "range": "1 to 6",
    "rows": 11,
    "base": SCORES,
    "tuned": SCORES | {"bleu": 1.3811},
    "nearest": {name: value for name, value in SCORES.items() if name not in OF_A_MODEL} | {"bleu": 15.04},
    "base to tuned": dict.fromkeys(GRADES, CHANGE),
    "nearest to tuned": dict.fromkeys([name for name in GRADES if name != "nll"], CHANGE),
}


RECEIPT: dict[str, Any] = {
    "base": {"model": "smollm2-135m", "sha256": "5" * 64},
    "files": {"adapter_model.safetensors": "a" * 64},
    "fingerprint": "4b12bf2e9680b1a0",
    "rows": 9000,
    "cut_rows": 123,
    "untrained_tokens": 123456,
    "tokens_per_epoch": 1234567,
    "steps": 1125,
    "plan": {"processes": 1},
    "losses": {"10": 3.8321, "1125": 3.1342},
    "validation_losses": {"500": 3.5, "1125": 3.25},
    "asked": {"title": "Mug", "prompt": "<user>Describe.\nTitle: Mug<end>\n"},
}


def write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def predictions(variant: str, count: int = 40) -> list[Prediction]:
    return [
        Prediction(
            f"Title {n}", "What is this?", f"Reference {n}.", f"Written by {variant} {n}.", n % 2 == 0, 5, 9.5, 3
        )
        for n in range(count)
    ]


def write_run(folder: Path) -> None:
    """Writes all files that the report reads into `folder`, the current one: a run with 40 test titles."""
    paths.ADAPTER.mkdir(parents=True)
    write(paths.RECEIPT, RECEIPT)
    for name in ("params.yaml", "sources.yaml"):
        shutil.copy(ROOT / name, folder)
    dropped = {"not a JSON object": 7, "no description": 1993, "duplicate title": 0}
    changed_rows = {"entities": 1234, "spaces": 2, "tags": 0}
    write(paths.CLEAN_COUNTS, {"read": 12000, "kept": 10000, "dropped": dropped, "changed": changed_rows})
    records.write_examples(paths.CLEANING_EXAMPLES, EXAMPLES)
    write(
        paths.SPLIT_COUNTS,
        {"train": 9000, "validation": 960, "test": 40, "thinned": 0, "families": 9876, "largest_family": 5},
    )
    parts = {"prompt": 75, "response": 450, "total": 525}
    write(paths.LENGTHS, {"rows": 9000} | {part: LENGTHS | {"limit": limit} for part, limit in parts.items()})
    for side, found in (("base", BASE), ("tuned", TUNED), ("nearest", NEAREST)):
        write(paths.scores(side), found)
    write(paths.scores("catalogue"), {"ungrounded_per_100_words": 0.25, "rows": 40})
    write(paths.COMPARISON, COMPARISON)
    write(paths.SLICES, {"category": "none", "slices": [SLICE]})
    bins = [f"{part},{low},{low + 5},{low * 3},{limit}" for part, limit in parts.items() for low in range(0, 600, 5)]
    paths.LENGTH_HISTOGRAM.write_text("\n".join(["part,over,tokens,rows,limit", *bins]) + "\n")
    train = ["step,epoch,loss,learning_rate,grad_norm", "10,0.01,3.8321,0.0002,1.5", "1125,1.0,3.1342,1e-05,0.9"]
    paths.TRAIN_HISTORY.write_text("\n".join(train) + "\n")
    curve = [f"{step},{step / 1125},{4 - step / 1125}" for step in range(25, 1126, 25)]
    paths.VALIDATION_HISTORY.write_text("\n".join(["step,epoch,eval_loss", *curve, curve[-1]]) + "\n")
    write_texts(predictions)
    paths.SIMILARITY.write_text("similarity\n" + "0.5\n" * 40)


def write_texts(made: Callable[[str], list[Prediction]]) -> None:
    """The three sides' predictions; by their row statistics base has a ROUGE-L of 10, tuned of 30, nearest of 20."""
    for side, overlap in (("base", 10), ("tuned", 30), ("nearest", 20)):
        rows = made(side)
        predictions_file.write(paths.predictions(side), rows)
        columns = {"rows": np.ones(len(rows), np.int64), "rougeL": np.full(len(rows), overlap * 10**7)}
        row_statistics.write(paths.statistics(side), row_statistics.from_columns(columns))


def page(**changes: Any) -> str:
    if "model" in changes:
        write(paths.RECEIPT, RECEIPT | {"base": {"model": changes["model"], "sha256": "5" * 64}})
    report.run(changed(sample__size=10000, **changes))
    return paths.REPORT.read_text(encoding="utf-8")


def html(**changes: Any) -> str:
    """report.html after a report."""
    page(**changes)
    return paths.REPORT_PAGE.read_text(encoding="utf-8")


def rendered(source: str) -> str:
    html: str = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(source)
    return html


def words(html: str) -> list[str]:
    return unescape(re.sub(r"<[^>]*>", " ", html)).split()
