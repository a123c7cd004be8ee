"""Negative log-likelihood of the reference under the model: a token, as perplexity, and as bits per byte.

likelihood.py computes the values. Bits per byte are comparable across models whose tokenizers differ.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation.metric import NATS, Context, Counts, Metric, Score, Values, ratio
from copywriter.evaluation.predictions import Prediction


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Nats in millionths and tokens; 0 and 0 where no model was asked.

    Then the same nats and the bytes of the reference in UTF-8, 0 and 0 where it may have been truncated: then it has
    the most tokens that training allows.
    """
    return np.array([_of(one, context.longest_response) for one in rows], np.int64)


def _of(one: Prediction, longest: int | None) -> tuple[int, int, int, int]:
    if one.reference_nll is None:
        return 0, 0, 0, 0
    nats, tokens = round(one.reference_nll * NATS), one.reference_tokens or 0
    if longest is not None and tokens >= longest:
        return nats, tokens, 0, 0
    return nats, tokens, nats, len(one.reference.encode())


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Nats a token over all rows, their exponential, and bits a byte over the rows whose whole reference counted."""
    nll = ratio(sums["nll"], sums["nll_tokens"]) / NATS
    bits = ratio(sums["nll_whole"], sums["nll_bytes"]) / NATS / np.log(2)
    return {"nll": nll, "perplexity": np.exp(nll), "bits_per_byte": bits}


METRIC = Metric(
    name="nll",
    columns=("nll", "nll_tokens", "nll_whole", "nll_bytes"),
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
            "repetition and length have no effect. Both depend on the tokenizer: compare models of different "
            "tokenizers by **bits per byte**, the same likelihood over the bytes of the text, end token included.",
        ),
        Score("perplexity", "perplexity", place=41, better=-1, hub="perplexity"),
        Score("bits_per_byte", "bits per byte", place=42, better=-1, digits=3),
    ),
    count=count,
    combine=combine,
)
