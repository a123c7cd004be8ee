"""Token-length statistics: how much the limits truncate, how much is padding, how many steps an epoch takes.

Reads data/train.parquet, data/neighbours, models/base (its tokenizer).
Writes metrics/lengths.json, metrics/length_histogram.csv.
Params: seed, max_length, max_prompt_length, batch_size, micro_batch_size, packing, prompt, retrieval.

An epoch's estimated time is printed but not written, since equal input must give equal bytes. It is based on the last
training on this machine (runs/speed.json), or from `python -m stages.analyze_lengths --tokens-per-second N`.
"""

import argparse
import csv
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from copywriter import errors, files, params, paths, records, stage, throughput
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.retrieval import neighbours
from copywriter.training.packing import pack

PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
WHOLE_SHARES = (0.95, 0.99)  # of the rows, for the smallest limits that truncate no more
BINS_TO_LIMIT = 15  # of the histogram; as many bins follow beyond the limit, the last without an upper border
ROWS_AT_ONCE = 1_000

Lengths = NDArray[np.int64]


def measure(lengths: Lengths, limit: int) -> dict[str, Any]:
    """Mean, percentiles, maximum, rows and tokens over the limit, and the limits that leave 95% and 99% whole."""
    return {
        "mean": round(float(lengths.mean()), 2),
        **{f"p{p}": int(np.percentile(lengths, p, method="inverted_cdf")) for p in PERCENTILES},
        "max": int(lengths.max()),
        "limit": limit,
        "over_limit": round(float((lengths > limit).mean()), 5),
        "rows_over_limit": int((lengths > limit).sum()),
        "tokens_over_limit": int((lengths - limit).clip(0).sum()),
        "tokens_over_limit_share": round(float((lengths - limit).clip(0).sum() / max(1, lengths.sum())), 5),
        "smallest_limit": {
            f"{share:.0%}": int(np.percentile(lengths, 100 * share, method="inverted_cdf")) for share in WHOLE_SHARES
        },
    }


def epoch(prompt: Lengths, response: Lengths, p: params.Params) -> dict[str, Any]:
    """An epoch over rows within the limits: tokens, steps, and the padding of three ways to form batches.

    `prompt` includes the text of neighbours.

    Truncation ends at a word, so a truncated row may have a token or two fewer than is counted here. Batches of single
    rows are padded to max_length or to their longest row, in the order of the file, which is random.
    """
    rows = prompt + response
    real = int(rows.sum())
    sequences = len(pack(rows.tolist(), p.sequence_length))
    longest = np.maximum.reduceat(rows, np.arange(0, len(rows), p.micro_batch_size))
    widths = np.repeat(longest, p.micro_batch_size)[: len(rows)]
    padded = p.sequence_length
    places = {"max_length": len(rows) * padded, "longest": int(widths.sum()), "packed": sequences * padded}
    return {
        "tokens": real,
        "response_tokens": int(response.sum()),
        "sequences": sequences if p.packing else len(rows),
        "optimizer_steps": math.ceil((sequences if p.packing else len(rows)) / p.batch_size),
        "padding": {way: round(1 - real / count, 5) for way, count in places.items()},
        "packing_gain": {way: round(places[way] / places["packed"], 3) for way in ("max_length", "longest")},
    }


def histogram(part: str, lengths: Lengths, limit: int) -> list[dict[str, str | int]]:
    """Rows by length in bins of equal width, each with its upper border; the last includes all longer rows.

    If 15 divides the limit, it is the border of a bin: the bins beyond it are the truncated rows.
    """
    width, bins = math.ceil(limit / BINS_TO_LIMIT), 2 * BINS_TO_LIMIT
    counts = np.bincount(np.minimum((lengths - 1).clip(0) // width, bins - 1), minlength=bins)
    return [
        {"part": part, "over": at * width, "tokens": (at + 1) * width, "rows": int(count), "limit": limit}
        for at, count in enumerate(counts)
    ]


def tokens(prompter: Prompter, rows: list[records.Product]) -> tuple[Lengths, Lengths]:
    """Tokens of each row's prompt and response, before truncation."""
    pairs: list[tuple[int, int]] = []
    with tqdm(**errors.progress("rows", len(rows))) as bar:
        for at in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[at : at + ROWS_AT_ONCE]
            texts = [row.title for row in some], [row.description for row in some], [row.facts for row in some]
            pairs += prompter.lengths(*texts)
            bar.update(len(some))
    prompt, response = np.array(pairs, dtype=np.int64).T
    return prompt, response


def retrieved(prompter: Prompter, rows: list[records.Product], p: params.Params) -> Lengths | None:
    """Tokens of each training row's neighbours before truncation, 0 where dropout leaves them out; None without any."""
    titles = [row.title for row in rows]
    shown = neighbours.of_file(paths.TRAIN, titles, p, p.retrieval.dropout)
    return None if shown is None else np.array(prompter.retrieved_lengths(titles, shown), dtype=np.int64)


def facts(prompter: Prompter, rows: list[records.Product], prompt: Lengths, p: params.Params) -> dict[str, Any]:
    """Tokens of the rows' facts before truncation, how many rows have some, and whose facts or titles are truncated.

    `prompt`: the lengths of the prompts with them. Empty where no row has any.
    """
    some = [(row, int(length)) for row, length in zip(rows, prompt, strict=True) if row.facts]
    if not some:
        return {}
    lengths = prompter.facts_lengths([row.title for row, _ in some], [row.facts for row, _ in some])
    mean, longest = round(sum(lengths) / len(some), 2), max(lengths)
    truncated = sum(length > p.max_prompt_length for _, length in some)
    return {"facts": {"rows": len(some), "mean": mean, "max": longest, "rows_truncated": truncated}}


def describe(parts: Mapping[str, Any], known: Mapping[str, Any], work: Mapping[str, Any], p: params.Params) -> str:
    """The figures to choose the limits by, a line each."""
    lines = []
    for part, one in parts.items():
        cut = f"truncates {one['over_limit']:.1%} of the rows and {one['tokens_over_limit_share']:.1%} of the tokens"
        whole = " and ".join(f"{limit:,} would leave {share}" for share, limit in one["smallest_limit"].items())
        lines.append(f"{part} limit {one['limit']:,}: {cut}; {whole} of the rows whole")
    if one := known.get("facts"):
        have = f"{one['rows']:,} rows have some, of {one['mean']} tokens on average"
        lines.append(f"facts, within the prompt limit: {have}; of {one['rows_truncated']:,} rows they are truncated")
    padding, gain = work["padding"], work["packing_gain"]
    shares = (
        f"{padding['max_length']:.1%} of rows padded to {p.sequence_length}",
        f"{padding['longest']:.1%} of rows padded to the longest of {p.micro_batch_size}",
        f"{padding['packed']:.1%} of packed rows",
    )
    lines.append(f"padding: {', '.join(shares)}")
    lines.append(f"packing: {gain['max_length']:.2f} and {gain['longest']:.2f} times fewer tokens to compute")
    steps = f"{work['sequences']:,} sequences and {work['optimizer_steps']:,} optimizer steps"
    lines.append(f"an epoch: {work['tokens']:,} tokens, {work['response_tokens']:,} of them in responses, in {steps}")
    return "\n".join(f"  {line}" for line in lines)


def write(bins: list[dict[str, str | int]], result: Mapping[str, Any]) -> None:
    """Writes the figures and the histograms."""
    files.write_json(paths.LENGTHS, result)
    with files.new_file(paths.LENGTH_HISTOGRAM) as aside, aside.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(bins[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(bins)


def run(p: params.Params, tokens_per_second: float | None = None) -> str:
    """Reads, measures and writes; the summary for the log."""
    rows = records.read_products(paths.TRAIN)
    prompter = Prompter(load_tokenizer(paths.BASE), p)
    prompt, response = tokens(prompter, rows)
    shown = retrieved(prompter, rows, p)
    limits = {"prompt": p.max_prompt_length, "response": p.max_response_length, "total": p.max_length}
    lengths = {"prompt": prompt, "response": response, "total": prompt + response}
    if shown is not None:
        limits["retrieved"], lengths["retrieved"] = p.retrieval.max_length, shown
    parts = {part: measure(values, limits[part]) for part, values in lengths.items()}
    whole = np.minimum(prompt, limits["prompt"])
    if shown is not None:
        whole = whole + np.minimum(shown, limits["retrieved"])
    work = epoch(whole, np.minimum(response, limits["response"]), p)
    bins = [line for part, values in lengths.items() for line in histogram(part, values, limits[part])]
    known = facts(prompter, rows, prompt, p)
    write(bins, {"rows": len(rows), **parts, **known, "epoch": work})
    print(describe(parts, known, work, p), file=sys.stderr)
    model = json.loads(errors.existing(paths.BASE / "pin.json", "dvc repro fetch_model").read_text())["model"]
    time = throughput.expected(work["tokens"], tokens_per_second or throughput.measured(model))
    return f"{len(rows):,} rows; an epoch's {time}"


def main() -> None:
    """Wires the stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens-per-second", type=float, help="of training, for the time estimate")
    given = parser.parse_args()
    stage.run("analyze_lengths", lambda: run(params.load(), given.tokens_per_second))


if __name__ == "__main__":
    main()
