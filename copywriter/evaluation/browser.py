"""What metrics/report.html has beside what both pages show: charts, all texts as data, and its own script and style."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from copywriter.evaluation import charts, page, scores
from copywriter.evaluation.findings import Findings


def values(found: Findings, script: Path, style: Path) -> dict[str, Any]:
    """All that the template names; `script` and `style` become part of the page, which asks no host for anything."""
    code = script.read_text(encoding="utf-8")
    return found.shared() | {
        "pictures": pictures(found),
        "texts": page.script_data(page.texts(found.sides, found.statistics, found.similarity)),
        "script": Markup(code),
        "script_hash": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "style": Markup(style.read_text(encoding="utf-8")),
    }


def pictures(found: Findings) -> dict[str, Any]:
    """The page's charts: scores with their intervals, losses, and the three length histograms."""
    intervals = found.comparison["intervals"]
    groups = {
        scores.NAMES[name]: {side: (found.results[side][name], *intervals[side][name]) for side in page.SIDES}
        for name in scores.OVERLAP
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
