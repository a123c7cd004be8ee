"""Values of metrics/model_card.md: origin, scores and limitations of the adapter, with metadata for model hubs."""

import re
from typing import Any

import yaml
from markupsafe import Markup

from copywriter import sources
from copywriter.evaluation import scores
from copywriter.report import content
from copywriter.report.results import Results

# The licences of base models among those that the hub accepts; it refuses a card with any other name.
_LICENCES = {
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("openrail", "bigscience-openrail-m", "bigscience-bloom-rail-1.0", "bigcode-openrail-m"),
    *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "gemma", "unknown"),
}


def values(found: Results) -> dict[str, Any]:
    """The template's values."""
    example = found.receipt["asked"]
    return found.shared() | {
        "head": Markup(yaml.safe_dump(head(found), sort_keys=False, allow_unicode=True, width=120)),
        "hub_name": sources.hub_name(found.model),
        "receipt": found.receipt,
        "results": found.results,
        "losses": {name: last(found.receipt[name]) for name in ("losses", "validation_losses")},
        "table": [row for row in content.table(found.results, found.comparison) if row["better"]],
        "title": Markup(example["title"]),
        "prompt": Markup(repr(example["prompt"])),
    }


def head(found: Results) -> dict[str, Any]:
    """The metadata (https://huggingface.co/docs/hub/model-cards), without fields that are unknown."""
    name, licence = sources.hub_name(found.model), found.model.licence
    base = {"base_model": name, "base_model_relation": "adapter"} if name else {}
    own = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-") or "unnamed"}
    return {
        **base,
        **({"license": licence} if licence in _LICENCES else own),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "product-descriptions"],
        "datasets": [found.given.dataset],
        "model-index": [{"name": f"{found.given.model}-{found.given.dataset}", "results": [results(found)]}],
    }


def results(found: Results) -> dict[str, Any]:
    """The adapter's scores that hubs have a name for, with their signatures as configuration."""
    tuned = found.results["tuned"]
    signatures = {signature.partition("|")[0].lower(): {"config": signature} for signature in tuned["signatures"]}
    metrics = [
        {"type": score.hub, "name": score.title, "value": tuned[key], **signatures.get(score.hub, {})}
        for key, score in scores.SCORES.items()
        if score.hub and key in tuned
    ]
    dataset = {"type": found.given.dataset, "name": f"{found.given.dataset}, product families of no training row"}
    task = {"type": "text-generation", "name": "product descriptions from titles"}
    return {"task": task, "dataset": dataset | {"split": "test"}, "metrics": metrics}


def last(by_step: dict[str, float]) -> float | None:
    """The value of the highest step; None when there is none."""
    return by_step[max(by_step, key=int)] if by_step else None
