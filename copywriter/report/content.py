"""The report's tables of scores and texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from copywriter.evaluation import scores
from copywriter.evaluation.predictions import Prediction, source_text
from copywriter.evaluation.row_statistics import Statistics
from copywriter.evaluation.verdict import number
from copywriter.grounding import Mention, Stated, unsupported
from copywriter.records import Product

SIDES = ("nearest", "base", "tuned")  # in the order of the table


def table(results: Mapping[str, Mapping[str, Any]], comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each score that base and tuned have: values and intervals of each side, tuned against base and nearest.

    All numbers are formatted texts.
    """
    rows: list[dict[str, Any]] = []
    for name, score in scores.SCORES.items():
        if name not in comparison["tuned_against_base"]["scores"]:
            continue
        values = {side: number(name, found[name]) if name in found else "" for side, found in results.items()}
        shown: dict[str, Any] = {
            "name": name,
            "title": score.title,
            "values": values,
            "better": score.better,
            "intervals": {},
        }
        for side, found in comparison["intervals"].items():
            if name in found:
                shown["intervals"][side] = " to ".join(number(name, value) for value in found[name])
        for before in ("base", "nearest"):
            one = comparison[f"tuned_against_{before}"]["scores"].get(name)
            shown[f"from_{before}"] = difference(name, one) if one else None
        rows.append(shown)
    return rows


def difference(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    """One formatted difference: value, interval, outcome, and the whole as a sentence."""
    return {
        "value": number(name, one["difference"], signed=True),
        "interval": " to ".join(number(name, one[end], signed=True).removesuffix(" points") for end in ("low", "high")),
        "outcome": one["outcome"],
        "sentence": one.get("sentence", ""),
    }


def texts(
    sides: Mapping[str, Sequence[Prediction]],
    found: Mapping[str, Statistics],
    similarity: Sequence[float],
    train: Sequence[Product],
) -> list[dict[str, Any]]:
    """Each test row with all texts for the page's script; lists are in the order of SIDES.

    `train`: the training rows, where a text has sources.
    """
    rouge = {side: scores.of(found[side])["rougeL"].round(1).tolist() for side in SIDES}
    return [
        {
            "title": base.title,
            "question": base.question,
            "facts": base.facts,
            "nearest_title": sides["nearest"][row].question,
            "reference": base.reference,
            "written": [sides[side][row].written for side in SIDES],
            "stopped": [sides[side][row].stopped is not False for side in SIDES],
            "rougeL": [rouge[side][row] for side in SIDES],
            "ungrounded": [[], *(places(sides[side][row], train) for side in SIDES[1:])],  # nearest is its own source
            "sources": [[train[one.row].title, one.similarity] for one in sides["tuned"][row].sources],
            "similarity": similarity[row],
        }
        for row, base in enumerate(sides["base"])
    ]


def ungrounded(row: Prediction, train: Sequence[Product]) -> list[Mention]:
    """The numbers and codes of a model's text in none of title, facts and sources."""
    shown = [source_text(one, train) for one in row.sources]
    return unsupported(row.written, Stated((row.title, row.facts, *shown)))


def places(row: Prediction, train: Sequence[Product]) -> list[list[int]]:
    """Start and end of each ungrounded mention in UTF-16 units, as scripts count."""
    ends = [(one.start, one.end) for one in ungrounded(row, train)]
    return [[len(row.written[:end].encode("utf-16-le")) // 2 for end in pair] for pair in ends]


def script_data(value: object) -> Markup:
    """JSON for a script element of type application/json, escaped so that it cannot end the element or open another."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        content = content.replace(char, f"\\u{ord(char):04x}")
    return Markup(content)
