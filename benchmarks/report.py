"""What was measured as one Markdown table, and as JSON."""

import json
from pathlib import Path
from typing import Any

from benchmarks.sides import BATCH, LORA, MAX_LENGTH, MAX_PROMPT, SIDES

COLUMNS = (
    *("shape", "side", "real tokens/s", "ms/step", "padding", "set-up s", "peak GiB: allocated, reserved"),
    *("of the floor", "x notebook", "x trl-packing-4bit", "ms a step: data + forward + backward + optimizer + between"),
)
_PEERS = ("notebook", "trl-packing-4bit")

Record = dict[str, Any]


def table(run: Record) -> str:
    """The table of a run, under a caption that says all settings."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join(["---"] * len(COLUMNS)) + " |"]
    for result in run["results"]:
        cells = [result["shape"], _label(result), *_cells(result, run)]
        lines.append("| " + " | ".join(cells) + " |")
    return caption(run) + "\n\n" + "\n".join(lines) + "\n"


def caption(run: Record) -> str:
    """Where, when and with what a run was made: device, versions, rows, and each side's settings."""
    facts = next(iter(run["shapes"].values()))
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    floors = "; ".join(
        f"{shape}: {one['parameters'] / 1e9:.3f} B parameters at {one['flops'] / 1e12:,.2f} TFLOP/s, "
        f"{floor(one):,.0f} tokens/s"
        for shape, one in run["shapes"].items()
    )
    lora = ", ".join(f"{name} {value}" for name, value in LORA.items())
    notes = [f"- {name}: {SIDES[name].note}" for name in dict.fromkeys(one["side"] for one in run["results"])]
    return "\n".join(
        [
            f"{run['date']}, {facts['device']}; {versions}. Made by `{run['command']}`.",
            "",
            f"Random weights; {run['rows']:,} rows of {facts['tokens'] / run['rows']:.0f} tokens on average, cut at "
            f"{MAX_PROMPT} + {MAX_LENGTH - MAX_PROMPT}, the same for every side. LoRA on all linear layers ({lora}); "
            f"batch {BATCH} x {MAX_LENGTH} unless the side says otherwise. Real tokens leave padding out. Set-up: from "
            f"the start of the process to the end of {run['warmup']} warm-up steps (imports, loading, packing, "
            "compilation). Peak memory: of the whole process, loading included. Floor: 4 FLOP x parameters a token at "
            f"the speed of a large matmul, measured in this run ({floors}).",
            "",
            *notes,
        ]
    )


def floor(facts: Record) -> float:
    """Tokens a second if a step were nothing but products: forward, and backward through frozen weights."""
    return float(facts["flops"] / (4 * facts["parameters"]))


def write(run: Record, folder: Path) -> str:
    """Writes table.md and results.json to `folder`; the table."""
    text = table(run)
    (folder / "table.md").write_text(text, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(run, indent=1) + "\n")
    return text


def _label(result: Record) -> str:
    micro = result.get("micro", BATCH)
    label = result["side"] + (f" (batch {micro})" if micro != BATCH else "")
    return f"{label}{' (stopped after the timed steps)' if 'rate' in result and 'failed' in result else ''}"


def _cells(result: Record, run: Record) -> list[str]:
    if "rate" not in result:
        failure = result["failed"].replace("|", "/")
        return [f"failed: {failure}", *["-"] * (len(COLUMNS) - 3)]
    rates = {one["side"]: one["rate"] for one in run["results"] if one["shape"] == result["shape"] and one.get("rate")}
    memory = "-"
    if result["allocated_gib"] is not None:
        memory = f"{result['allocated_gib']:.1f}, {result['reserved_gib']:.1f}"
    return [
        f"{result['rate']:,.0f}",
        f"{result['step_ms']:.1f}",
        f"{result['padding']:.1%}",
        f"{result['setup_s']:.0f}",
        memory,
        f"{result['rate'] / floor(run['shapes'][result['shape']]):.1%}",
        *(f"{result['rate'] / rates[peer]:.2f}" if peer in rates else "-" for peer in _PEERS),
        _parts(result.get("parts_ms")),
    ]


def _parts(parts: dict[str, float] | None) -> str:
    if parts is None:
        return "-"
    middle = [f"{parts[name]:.1f}" for name in ("forward", "backward") if name in parts]
    if "forward+backward" in parts:
        middle = [f"({parts['forward+backward']:.1f} forward and backward)"]
    ends = [f"{parts.get(name, 0.0):.1f}" for name in ("data", "optimizer", "between")]
    return " + ".join([ends[0], *middle, *ends[1:]])
