"""Negative log-likelihood of the reference descriptions under a model (teacher forcing)."""

from collections.abc import Iterator, Sequence

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from copywriter.errors import progress
from copywriter.generation.logits import require_numbers
from copywriter.prompt import Example

_LOGITS = {"cuda": 2**28, "cpu": 2**26}  # in a batch: 1 GiB and 256 MiB in float32
_POSITIONS = {"cuda": 2**15, "cpu": 2**12}  # tokens in a batch, padding included


def nll(
    model: PreTrainedModel, rows: Sequence[Example], wanted: Sequence[int] | None = None
) -> Iterator[tuple[int, float]]:
    """Yields (row, nats): -log p of all completion tokens, end token included, each given the tokens before it.

    `wanted`: the rows to compute, by default all. Batches are always formed from all rows, those of similar length
    together, so that a resumed run has the same bits. UserError for a NaN.
    """
    missing = set(range(len(rows)) if wanted is None else wanted)
    with tqdm(**progress("references", len(missing))) as bar:
        for batch in batches(rows, model.config.get_text_config().vocab_size, model.device.type):
            if missing.isdisjoint(batch):
                continue
            for row, value in zip(batch, _batch(model, [rows[row] for row in batch]), strict=True):
                if row in missing:
                    yield row, value
                    bar.update()


def batches(rows: Sequence[Example], vocabulary: int, kind: str) -> Iterator[list[int]]:
    """Batches of row numbers, longest rows first, within the limits on tokens and logits of a device `kind`."""
    batch: list[int] = []
    longest = completion = 0
    for row in sorted(range(len(rows)), key=lambda row: (-len(rows[row].input_ids), row)):
        one = rows[row]
        longest = max(longest, len(one.input_ids))
        completion = max(completion, len(one.input_ids) - one.prompt_length)
        count = len(batch) + 1
        if batch and (count * longest > _POSITIONS[kind] or count * completion * vocabulary > _LOGITS[kind]):
            yield batch
            batch, longest, completion = [], len(one.input_ids), len(one.input_ids) - one.prompt_length
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _batch(model: PreTrainedModel, rows: Sequence[Example]) -> list[float]:
    """Left-padded, so that all completions end in the last column and logits are computed for their positions only."""
    longest = max(len(row.input_ids) for row in rows)
    completion = max(len(row.input_ids) - row.prompt_length for row in rows)
    pads = torch.tensor([longest - len(row.input_ids) for row in rows], device=model.device)
    ids = torch.tensor([[0] * (longest - len(row.input_ids)) + row.input_ids for row in rows], device=model.device)
    columns = torch.arange(longest, device=model.device)
    mask = columns >= pads[:, None]
    logits = model(
        input_ids=ids,
        attention_mask=mask.long(),
        position_ids=(columns - pads[:, None]).clamp(min=0),
        use_cache=False,
        logits_to_keep=completion + 1,
    ).logits[:, :-1]
    targets = ids[:, longest - completion :]
    starts = pads + torch.tensor([row.prompt_length for row in rows], device=model.device)
    counted = columns[longest - completion :] >= starts[:, None]
    logits32 = logits.float()
    each = logits32.logsumexp(-1) - logits32.gather(-1, targets[..., None]).squeeze(-1)
    sums = each.where(counted, 0).double().sum(-1)
    require_numbers(bool(torch.isfinite(sums).all()), model.dtype)
    return [round(value, 4) for value in sums.tolist()]
