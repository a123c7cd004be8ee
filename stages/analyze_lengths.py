"""Measures prompt, response and total of every training row in the model's own tokens, against the limits.

Reads data/train.parquet, models/base (its tokenizer).
Writes metrics/lengths.json, metrics/length_histogram.csv.
Params: max_length, max_prompt_length, prompt.
"""

import csv
from typing import Any

import numpy as np
from numpy.typing import NDArray

from copywriter import canonical, params, paths, records, stage
from copywriter.prompt import Prompter, load_tokenizer

PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
KEPT = (0.95, 0.99)
BIN = 25  # tokens
LAST_BIN = 1000  # longer rows are counted in the last bin

Lengths = NDArray[np.int64]


def measure(lengths: dict[str, Lengths], limits: dict[str, int]) -> dict[str, Any]:
    """Per part: mean, percentiles, maximum, the limit, the share of rows over it, and the limits that keep 95/99%."""
    return {
        part: {
            "mean": round(float(values.mean()), 2),
            **{f"p{p}": int(np.percentile(values, p, method="inverted_cdf")) for p in PERCENTILES},
            "max": int(values.max()),
            "limit": limits[part],
            "over_limit": round(float((values > limits[part]).mean()), 5),
            "smallest_limit": {
                f"{share:.0%}": int(np.percentile(values, 100 * share, method="inverted_cdf")) for share in KEPT
            },
        }
        for part, values in lengths.items()
    }


def histogram(lengths: dict[str, Lengths]) -> list[dict[str, int]]:
    """Rows by length in bins of 25 tokens, named by their first token; the last bin holds all that is longer."""
    edges = range(0, LAST_BIN + 1, BIN)
    counts = {
        part: np.bincount(np.minimum(values, LAST_BIN) // BIN, minlength=len(edges)) for part, values in lengths.items()
    }
    return [
        {"tokens": edge, **{part: int(count[index]) for part, count in counts.items()}}
        for index, edge in enumerate(edges)
    ]


def run(p: params.Params) -> str:
    """Reads, measures and writes; the summary for the log."""
    rows = records.read_products(paths.TRAIN)
    prompter = Prompter(load_tokenizer(paths.BASE), p)
    pairs = prompter.lengths([row.title for row in rows], [row.description for row in rows])
    prompt, response = np.array(pairs, dtype=np.int64).T
    lengths = {"prompt": prompt, "response": response, "total": prompt + response}
    limits = {"prompt": p.max_prompt_length, "response": p.max_response_length, "total": p.max_length}
    result = measure(lengths, limits)
    canonical.write_json(paths.LENGTHS, {"rows": len(rows), **result})
    bins = histogram(lengths)
    with canonical.new_file(paths.LENGTH_HISTOGRAM) as aside, aside.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(bins[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(bins)
    cut = ", ".join(f"{part} {result[part]['limit']} cuts {result[part]['over_limit']:.1%}" for part in limits)
    return f"{len(rows):,} rows, {cut}"


def main() -> None:
    """Wires the stage."""
    stage.run("analyze_lengths", lambda: run(params.load()))


if __name__ == "__main__":
    main()
