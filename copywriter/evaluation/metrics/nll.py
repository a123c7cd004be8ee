"""Negative log-likelihood of the reference under the model, and perplexity. likelihood.py computes the values."""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation.metric import NATS, Context, Counts, Metric, Score, Values, ratio
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Nats in millionths and tokens; 0 and 0 where no model was asked."""
    return np.array(
        [
            (
                round((one.reference_nll or 0) * NATS),
                0 if one.reference_nll is None else one.reference_tokens or 0,
            )
            for one in rows
        ],
        np.int64,
    )


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Nats a token over all rows, and their exponential."""
    nll = ratio(sums["nll"], sums["nll_tokens"]) / NATS
    return {"nll": nll, "perplexity": np.exp(nll)}


METRIC = Metric(
    name="nll",
    columns=("nll", "nll_tokens"),
    scores=(
        Score(
            "nll",
            "NLL of the reference",
            place=40,
            better=-1,
            digits=3,
            verdict=True,
            explanation="**NLL of the reference**: the negative log-likelihood of the reference under the model, in "
            "nats a token; lower is better. **Perplexity** is its exponential. Nothing is generated for it, so "
            "repetition and length have no effect.",
        ),
        Score("perplexity", "perplexity", place=41, better=-1, hub="perplexity"),
    ),
    count=count,
    combine=combine,
)
