"""Predictions -> row statistics of every metric in the registry, in several processes."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np

from copywriter import parallel
from copywriter.errors import UserError
from copywriter.evaluation import row_statistics, tokenizers
from copywriter.evaluation.metric import Context, Counts, Hashes, Metric
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.registry import METRICS
from copywriter.evaluation.row_statistics import COLUMNS, Statistics

MODULE = Path(__file__).with_name("evaluate_module.py")
ROWS = 250  # scored at a time by a process, a fifth of a second or more


def preload(rows: int) -> None:
    """Starts the imports of the scoring processes, if so many rows need any, while this process does other work."""
    if rows > ROWS and parallel.processors() > 1:
        forkserver.set_forkserver_preload(["evaluate", "sacrebleu", "nltk.stem.porter"])
        forkserver.ensure_running()


def measure(
    rows: Sequence[Prediction],
    training_ngrams: Hashes,
    shown: Sequence[str] | None = None,
    processes: int | None = None,
    longest_response: int | None = None,
) -> tuple[Statistics, list[str]]:
    """The statistics of each prediction (rows x COLUMNS), and the signatures of the metrics that have one.

    `training_ngrams`: of the training descriptions, see ngrams.index; `shown`: for each row the texts of its sources,
    by default none; `processes`: by default one for each processor; `longest_response`: see metric.Context. UserError
    without rows.
    """
    if not rows:
        raise UserError("there is no prediction to score; the test set is empty: raise sample.size")
    texts = shown or [""] * len(rows)
    parts = [(rows[at : at + ROWS], texts[at : at + ROWS]) for at in range(0, len(rows), ROWS)]
    chosen = tokenizers.choose(one.reference for one in rows)
    context = Context(chosen, longest_response=longest_response)
    found = np.concatenate(
        list(parallel.in_order(functools.partial(_part, context=context), parts, processes or parallel.processors()))
    )
    _fill(found, rows, Context(chosen, training_ngrams), lambda one: one.training_texts)
    by_place = sorted(METRICS, key=lambda one: min(score.place for score in one.scores))
    return found, [one.signature(context) for one in by_place if one.signature]


def without_reference(rows: Sequence[Prediction], training_ngrams: Hashes) -> Statistics:
    """Statistics of the metrics with scores that need no reference, 0 for the others."""
    found = row_statistics.from_columns({"rows": np.ones(len(rows), np.int64)})
    context = Context(training_ngrams=training_ngrams)
    _fill(found, rows, context, lambda one: any(score.without_reference for score in one.scores))
    return found


def _part(part: tuple[Sequence[Prediction], Sequence[str]], context: Context) -> Statistics:
    """Without the metrics that need the training n-grams: these are too many to send to each process."""
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns of tokenized texts when one merely ends in " ."
    rows, shown = part
    context = dataclasses.replace(context, shown=shown)
    found = row_statistics.from_columns({"rows": np.ones(len(rows), np.int64)})
    _fill(found, rows, context, lambda one: not one.training_texts)
    return found


def _fill(found: Statistics, rows: Sequence[Prediction], context: Context, wanted: Callable[[Metric], bool]) -> None:
    for metric in filter(wanted, METRICS):
        start = COLUMNS.index(metric.columns[0])
        found[:, start : start + len(metric.columns)] = _count(metric, rows, context)


def _count(metric: Metric, rows: Sequence[Prediction], context: Context) -> Counts:
    if not metric.pairs:
        return metric.count(rows, context)
    texts = {"predictions": [one.written for one in rows], "references": [one.reference for one in rows]}
    counts: Counts = _module(metric.name).compute(**texts, context=context)["statistics"]
    return counts


@functools.cache
def _module(name: str) -> Any:
    import evaluate  # takes seconds: only the scoring processes import it

    return evaluate.load(str(MODULE), name, keep_in_memory=True)
