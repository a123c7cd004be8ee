"""Predictions -> what each row adds to the scores, through the metric modules and the text's own words."""

import logging
from collections.abc import Sequence
from pathlib import Path

import evaluate
import numpy as np

from copywriter.evaluation import facts, ngrams
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.statistics import COLUMNS, NATS, SHARE, Statistics, table
from copywriter.stage import UserError

MODULES = Path(__file__).with_name("metric_modules")
RUN = 8  # words: so many in a row that stand in a training text as well were learned by heart


def measure(rows: Sequence[Prediction], library: ngrams.Hashes) -> tuple[Statistics, list[str]]:
    """The statistics of each prediction (rows x COLUMNS), and the signatures of the metrics that take part.

    `library` holds the training texts' runs of RUN words, as ngrams.runs gives them. UserError without rows.
    """
    if not rows:
        raise UserError("there is no prediction to score; the test set is empty: raise sample.size")
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns of tokenized text that merely ends in " ."
    found = table(_of_the_model(rows) | surface(rows, library))
    texts = {"predictions": [one.written for one in rows], "references": [one.reference for one in rows]}
    signatures = []
    for name, first, unit in (("bleu", "bleu_words", 1), ("rouge", "rouge1", SHARE), ("chrf", "chrf_runs_1", 1)):
        result = evaluate.load(str(MODULES / f"{name}.py"), keep_in_memory=True).compute(**texts)
        values = np.rint(np.array(result["statistics"], np.float64) * unit).astype(np.int64)
        found[:, COLUMNS.index(first) : COLUMNS.index(first) + values.shape[1]] = values
        signatures.append(str(result["signature"]))
    return found, signatures


def surface(rows: Sequence[Prediction], library: ngrams.Hashes) -> dict[str, ngrams.Counts]:
    """The columns that the written text, its title and the training texts decide; the reference only confirms facts."""
    written = [one.written for one in rows]
    again_4, runs_4 = ngrams.repeated(written, 4)
    again_2, runs_2 = ngrams.repeated(written, 2)
    title_match, title_runs = ngrams.shared(written, [one.title for one in rows], 2)
    verbatim_match, verbatim_runs = ngrams.verbatim(written, library, RUN)
    invented = [facts.invented(one.written, one.title) for one in rows]
    unconfirmed = [facts.invented(one.written, f"{one.title}\n{one.reference}") for one in rows]
    return {
        "rows": np.ones(len(rows), np.int64),
        "repeated_4grams": again_4 * SHARE // np.maximum(runs_4, 1),
        "distinct_2": (runs_2 - again_2) * SHARE // np.maximum(runs_2, 1),
        "title_runs": title_runs,
        "title_match": title_match,
        "verbatim_runs": verbatim_runs,
        "verbatim_match": verbatim_match,
        "invented": np.array([len(one) for one in invented]),
        "with_invented": np.array([bool(one) for one in invented], np.int64),
        "unconfirmed": np.array([len(one) for one in unconfirmed]),
    }


def _of_the_model(rows: Sequence[Prediction]) -> dict[str, ngrams.Counts]:
    return {
        "nll": np.array([round((one.reference_nll or 0) * NATS) for one in rows]),
        "nll_tokens": np.array([0 if one.reference_nll is None else one.reference_tokens or 0 for one in rows]),
        "asked": np.array([one.stopped is not None for one in rows], np.int64),
        "stopped": np.array([bool(one.stopped) for one in rows], np.int64),
        "tokens": np.array([one.tokens or 0 for one in rows]),
    }
