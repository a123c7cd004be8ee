"""Prompts -> texts, greedily, in batches that finished rows leave."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from tqdm import tqdm
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RepetitionPenaltyLogitsProcessor,
)

from copywriter.params import Decoding
from copywriter.stage import progress


@dataclass(frozen=True, slots=True)
class Written:
    """A generated text, stripped of white space at its ends, and whether the model ended it itself."""

    text: str
    stopped: bool
    tokens: int  # the end token included


def texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], decoding: Decoding
) -> Iterator[tuple[int, Written]]:
    """Yields (number of the prompt, what `model` writes for it) as batches end. Prompts of similar length share one."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    end = int(tokenizer.eos_token_id)
    with tqdm(**progress("texts", len(prompts))) as bar:
        for start in range(0, len(order), decoding.batch_size):
            rows = order[start : start + decoding.batch_size]
            for row, ids in zip(rows, greedy(model, [prompts[row] for row in rows], end, decoding), strict=True):
                stopped = ids[-1:] == [end]
                text = str(tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True)).strip()
                yield row, Written(text, stopped, len(ids))
            bar.update(len(rows))


def greedy(model: PreTrainedModel, prompts: Sequence[list[int]], end: int, decoding: Decoding) -> list[list[int]]:
    """The likeliest next token, again and again: new ids for each prompt, up to `end` (included) or max_new_tokens."""
    new: list[list[int]] = [[] for _ in prompts]
    for rows, tokens in _steps(model, prompts, end, decoding):
        for row, token in zip(rows, tokens, strict=True):
            new[row].append(token)
    return new


@torch.inference_mode()
def _steps(
    model: PreTrainedModel, prompts: Sequence[list[int]], end: int, decoding: Decoding
) -> Iterator[tuple[list[int], list[int]]]:
    """For every step, the rows that still write and the token that each of them wrote."""
    width = max(len(ids) for ids in prompts)
    # Padded on the left, masked by position: the pad's id is the end token's, which a prompt may hold as well.
    padded = [[end] * (width - len(ids)) + ids for ids in prompts]
    fresh = torch.tensor(padded, device=model.device)
    # Penalties see the written text alone: not the pads, which would tie a text to its batch, and not the prompt, whose
    # title a description should repeat and whose end token would make ending less likely.
    written = fresh[:, :0]
    pads = torch.tensor([width - len(ids) for ids in prompts], device=model.device)
    mask = (torch.arange(width, device=model.device) >= pads[:, None]).long()
    processors = _processors(decoding)
    cache = DynamicCache(config=model.config)
    rows = list(range(len(prompts)))
    for _ in range(decoding.max_new_tokens):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -fresh.shape[1] :]
        logits = model(
            input_ids=fresh, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        ).logits[:, -1]
        if torch.isnan(logits).any():
            raise FloatingPointError("the model's logits are not numbers; try precision: fp32")
        tokens = processors(cast(torch.LongTensor, written), cast(torch.FloatTensor, logits.float())).argmax(-1)
        yield rows, tokens.tolist()
        going = (tokens != end).nonzero().squeeze(-1)
        if not len(going):
            return
        if len(going) < len(rows):
            cache.batch_select_indices(going)
            rows = [rows[one] for one in going.tolist()]
            written, mask, tokens = written[going], mask[going], tokens[going]
        fresh = tokens[:, None]
        written = torch.cat([written, fresh], dim=1)
        mask = torch.cat([mask, torch.ones_like(fresh)], dim=1)


def _processors(decoding: Decoding) -> LogitsProcessorList:
    found = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        found.append(RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
    if decoding.no_repeat_ngram_size:
        found.append(NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size))
    return found
