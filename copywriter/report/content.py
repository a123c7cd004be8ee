"""The report's tables of scores and texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from copywriter.evaluation import scores
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.row_statistics import COLUMNS, Statistics
from copywriter.evaluation.verdict import number

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
    sides: Mapping[str, Sequence[Prediction]], found: Mapping[str, Statistics], similarity: Sequence[float]
) -> list[dict[str, Any]]:
    """Each test row with all texts for the page's script; lists are in the order of SIDES."""
    rouge = {side: scores.of(found[side])["rougeL"].round(1).tolist() for side in SIDES}
    unsupported = {side: found[side][:, COLUMNS.index("invented")].tolist() for side in SIDES}
    return [
        {
            "title": base.title,
            "question": base.question,
            "nearest_title": sides["nearest"][row].question,
            "reference": base.reference,
            "written": [sides[side][row].written for side in SIDES],
            "stopped": [sides[side][row].stopped is not False for side in SIDES],
            "rougeL": [rouge[side][row] for side in SIDES],
            "unsupported": [unsupported[side][row] for side in SIDES],
            "similarity": similarity[row],
        }
        for row, base in enumerate(sides["base"])
    ]


def script_data(value: object) -> Markup:
    """JSON for a script element of type application/json, escaped so that it cannot end the element or open another."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        content = content.replace(char, f"\\u{ord(char):04x}")
    return Markup(content)
