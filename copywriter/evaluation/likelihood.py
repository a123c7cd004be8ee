"""How surprised a model is by the catalogue's own text: negative log-likelihood of the reference, teacher-forced."""

from collections.abc import Iterator, Sequence

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from copywriter.errors import progress
from copywriter.generation.logits import require_numbers
from copywriter.prompt import Example

_LOGITS = {"cuda": 2**28, "cpu": 2**26}  # at once: 1 GiB and 256 MiB in float32
_POSITIONS = {"cuda": 2**15, "cpu": 2**12}  # tokens in a batch, padding included


def nll(
    model: PreTrainedModel, rows: Sequence[Example], wanted: Sequence[int] | None = None
) -> Iterator[tuple[int, float]]:
    """Yields (row, nats): -log p of all completion tokens, the end token included, given the prompt and those before.

    `wanted` are the rows to compute, all by default. Batches are formed of all rows whatever is wanted, rows of similar
    length together, so that a run that goes on gives the same bits. UserError for a result that is no number.
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
    """Row numbers, longest rows first, as many together as keep within the positions and logits that `kind` holds."""
    batch: list[int] = []
    longest = kept = 0
    for row in sorted(range(len(rows)), key=lambda row: (-len(rows[row].input_ids), row)):
        one = rows[row]
        longest = max(longest, len(one.input_ids))
        kept = max(kept, len(one.input_ids) - one.prompt_length)
        count = len(batch) + 1
        if batch and (count * longest > _POSITIONS[kind] or count * kept * vocabulary > _LOGITS[kind]):
            yield batch
            batch, longest, kept = [], len(one.input_ids), len(one.input_ids) - one.prompt_length
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _batch(model: PreTrainedModel, rows: Sequence[Example]) -> list[float]:
    """Padded on the left: all completions end in the last column, and only their positions reach the vocabulary."""
    longest = max(len(row.input_ids) for row in rows)
    kept = max(len(row.input_ids) - row.prompt_length for row in rows)
    pads = torch.tensor([longest - len(row.input_ids) for row in rows], device=model.device)
    ids = torch.tensor([[0] * (longest - len(row.input_ids)) + row.input_ids for row in rows], device=model.device)
    columns = torch.arange(longest, device=model.device)
    mask = columns >= pads[:, None]
    logits = model(
        input_ids=ids,
        attention_mask=mask.long(),
        position_ids=(columns - pads[:, None]).clamp(min=0),
        use_cache=False,
        logits_to_keep=kept + 1,
    ).logits[:, :-1]
    targets = ids[:, longest - kept :]
    starts = pads + torch.tensor([row.prompt_length for row in rows], device=model.device)
    counted = columns[longest - kept :] >= starts[:, None]
    logits32 = logits.float()
    each = logits32.logsumexp(-1) - logits32.gather(-1, targets[..., None]).squeeze(-1)
    sums = each.where(counted, 0).double().sum(-1)
    require_numbers(bool(torch.isfinite(sums).all()), model.dtype)
    return [round(value, 4) for value in sums.tolist()]
