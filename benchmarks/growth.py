"""How time and memory of the stages from fetch to retrieve grow with the catalogue; benchmarks/data.py runs them.

Growth between two sizes is an exponent: seconds grow as rows ** exponent, so that 1 is linear.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.markdown import table
from copywriter import paths
from tests.support import measure

WHOLE = "whole"
LINEAR = 1.1  # up to this exponent: five times the rows take at most 17% more seconds a row


@dataclass(frozen=True, slots=True)
class Chain:
    """Time and memory of the stages for one catalogue, and what became of its rows."""

    seconds: Mapping[str, float]  # wall time of each stage and, under WHOLE, of all together
    gib: Mapping[str, float]  # the peak of each stage and, under WHOLE, the highest of them
    kept: int  # rows after cleaning
    train: int  # rows of the training set, whose titles retrieve indexes
    largest_family: int  # its rows


def chain(steps: Mapping[str, measure.Run], folder: Path) -> Chain:
    """What the stages took that ran in `folder`, and the counts that they wrote there."""
    seconds = {stage: step.seconds for stage, step in steps.items()}
    gib = {stage: step.peak_bytes / 2**30 for stage, step in steps.items()}
    cleaned, parted = (json.loads((folder / file).read_text()) for file in (paths.CLEAN_COUNTS, paths.SPLIT_COUNTS))
    return Chain(
        seconds | {WHOLE: sum(seconds.values())},
        gib | {WHOLE: max(gib.values())},
        cleaned["kept"],
        parted["train"],
        parted["largest_family"],
    )


def exponents(sizes: tuple[int, int], fewer: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """The exponent of growth of each figure between two numbers of rows."""
    return {name: math.log(more[name] / fewer[name]) / math.log(sizes[1] / sizes[0]) for name in fewer}


def sentence(sizes: tuple[int, int], times: Mapping[str, float], peaks: Mapping[str, float]) -> str:
    """Whether growth between two sizes is linear, by the exponents of the seconds and of the peaks."""
    whole = times[WHOLE]
    verdict = "at most linear" if whole <= LINEAR else "more than linear"
    faster = [f"{stage} ({times[stage]:.2f})" for stage in times if stage != WHOLE and times[stage] > LINEAR]
    named = f"; more than linear alone: {', '.join(faster)}" if faster else ""
    return (
        f"From {sizes[0]:,} to {sizes[1]:,} rows time grows as rows^{whole:.2f}, which is {verdict}, "
        f"and the peak as rows^{peaks[WHOLE]:.2f}{named}."
    )


def report(chains: Mapping[int, Chain]) -> str:
    """The tables of all sizes, in their order: time and peak of each stage, growth, counts; and the sentences."""
    figures, growth, sentences = [], [], []
    for size, one in chains.items():
        cells = [f"{one.seconds[stage]:.1f} s, {one.gib[stage]:.2f} GiB" for stage in one.seconds]
        figures.append([f"{size:,}", *cells, f"{one.seconds[WHOLE] / size * 1e6:.0f}"])
    for fewer, more in pairwise(sorted(chains)):
        times, peaks = (
            exponents((fewer, more), getattr(chains[fewer], name), getattr(chains[more], name))
            for name in ("seconds", "gib")
        )
        growth.append([f"{fewer:,} to {more:,}", *(f"{exponent:.2f}" for exponent in times.values())])
        sentences.append(sentence((fewer, more), times, peaks))
    stages = list(next(iter(chains.values())).seconds)
    counts = [
        [f"{size:,}", f"{one.kept:,}", f"{one.train:,}", f"{one.largest_family:,}"] for size, one in chains.items()
    ]
    tables = [table(["rows", *stages, "s per million rows"], figures)]
    if growth:
        tables += [table(["exponent of time", *stages], growth), "\n".join(sentences) + "\n"]
    return "\n".join([*tables, table(["rows", "clean", "train", "largest family"], counts)])
