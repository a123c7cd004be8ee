"""Predictions -> what each row adds to the scores, through the metric modules and the text's own words."""

import functools
import logging
import os
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np

from copywriter import parallel
from copywriter.errors import UserError
from copywriter.evaluation import ngrams, unsupported_numbers
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.row_statistics import COLUMNS, NATS, SHARE, Statistics, table

MODULES = Path(__file__).with_name("metric_modules")
RUN = 8  # words: so many in a row that stand in a training text as well were learned by heart
ROWS = 250  # that a process scores at a time, a fifth of a second or more: each row stands for itself


def prepare(rows: int) -> None:
    """Starts to import what the processes need that will score so many rows, while this one has other things to do."""
    if rows > ROWS and _processors() > 1:
        forkserver.set_forkserver_preload(["evaluate", "sacrebleu", "nltk.stem.porter"])
        forkserver.ensure_running()


def measure(
    rows: Sequence[Prediction], library: ngrams.Hashes, processes: int | None = None
) -> tuple[Statistics, list[str]]:
    """The statistics of each prediction (rows x COLUMNS), and the signatures of the metrics that take part.

    `library` holds the training texts' runs of RUN words, as ngrams.library gives them; `processes`: as many as there
    are processors by default. UserError without rows.
    """
    if not rows:
        raise UserError("there is no prediction to score; the test set is empty: raise sample.size")
    parts = [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)]
    found = list(parallel.in_order(_part, parts, processes or _processors()))
    whole = np.concatenate([part for part, _ in found])
    for name, values in learned(rows, library).items():
        whole[:, COLUMNS.index(name)] = values
    return whole, found[0][1]


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _part(rows: Sequence[Prediction]) -> tuple[Statistics, list[str]]:
    """What `measure` gives, but for what was learned by heart: the library is too large to be sent around."""
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns of tokenized text that merely ends in " ."
    found = table(_of_the_model(rows) | surface(rows))
    texts = {"predictions": [one.written for one in rows], "references": [one.reference for one in rows]}
    signatures = []
    for name, first, unit in (("bleu", "bleu_words", 1), ("rouge", "rouge1", SHARE), ("chrf", "chrf_runs_1", 1)):
        result = _metric(name).compute(**texts)
        values = np.rint(np.array(result["statistics"], np.float64) * unit).astype(np.int64)
        found[:, COLUMNS.index(first) : COLUMNS.index(first) + values.shape[1]] = values
        signatures.append(str(result["signature"]))
    return found, signatures


@functools.cache
def _metric(name: str) -> Any:
    import evaluate  # seconds, for the processes that score alone

    return evaluate.load(str(MODULES / f"{name}.py"), keep_in_memory=True)


def surface(rows: Sequence[Prediction]) -> dict[str, ngrams.Counts]:
    """The columns that the written text and its title decide; the reference only confirms facts."""
    written = [one.written for one in rows]
    again_4, runs_4 = ngrams.repeated(written, 4)
    again_2, runs_2 = ngrams.repeated(written, 2)
    title_match, title_runs = ngrams.shared(written, [one.title for one in rows], 2)
    invented = [unsupported_numbers.invented(one.written, one.title) for one in rows]
    unconfirmed = [unsupported_numbers.invented(one.written, f"{one.title}\n{one.reference}") for one in rows]
    return {
        "rows": np.ones(len(rows), np.int64),
        "repeated_4grams": again_4 * SHARE // np.maximum(runs_4, 1),
        "distinct_2": (runs_2 - again_2) * SHARE // np.maximum(runs_2, 1),
        "title_runs": title_runs,
        "title_match": title_match,
        "invented": np.array([len(one) for one in invented]),
        "with_invented": np.array([bool(one) for one in invented], np.int64),
        "unconfirmed": np.array([len(one) for one in unconfirmed]),
    }


def learned(rows: Sequence[Prediction], library: ngrams.Hashes) -> dict[str, ngrams.Counts]:
    """The columns that the training texts decide."""
    match, runs = ngrams.verbatim([one.written for one in rows], library, RUN)
    return {"verbatim_runs": runs, "verbatim_match": match}


def _of_the_model(rows: Sequence[Prediction]) -> dict[str, ngrams.Counts]:
    return {
        "nll": np.array([round((one.reference_nll or 0) * NATS) for one in rows]),
        "nll_tokens": np.array([0 if one.reference_nll is None else one.reference_tokens or 0 for one in rows]),
        "asked": np.array([one.stopped is not None for one in rows], np.int64),
        "stopped": np.array([bool(one.stopped) for one in rows], np.int64),
        "tokens": np.array([one.tokens or 0 for one in rows]),
    }
