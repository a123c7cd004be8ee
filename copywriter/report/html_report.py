"""Values of metrics/report.html: those of both pages, charts, all texts as data, script and style sheet."""

import base64
import hashlib
from typing import Any

from markupsafe import Markup

from copywriter.evaluation import scores
from copywriter.report import charts, content
from copywriter.report.rendering import TEMPLATES
from copywriter.report.results import Results


def values(found: Results) -> dict[str, Any]:
    """The template's values; script and style are inline, so that the page loads nothing from a network."""
    code = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return found.shared() | {
        "charts": charts_of(found),
        "texts": content.script_data(content.texts(found.sides, found.statistics, found.similarity, found.products)),
        "script": Markup(code),
        "script_hash": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "style": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
    }


def charts_of(found: Results) -> dict[str, Any]:
    """The charts: scores with intervals, losses, and three length histograms."""
    intervals = found.comparison["intervals"]
    groups = {
        scores.NAMES[name]: {side: (found.results[side][name], *intervals[side][name]) for side in content.SIDES}
        for name in scores.OVERLAP
        if all(name in intervals[side] for side in content.SIDES)
    }
    curves = {
        "loss": [(row["step"], row["loss"]) for row in found.train],
        "eval_loss": [(row["step"], row["eval_loss"]) for row in found.validation],
    }
    histograms: dict[str, list[tuple[float, float, float]]] = {}
    limits: dict[str, float] = {}
    for row in found.histogram:
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
