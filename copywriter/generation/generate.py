"""Prompts -> texts, greedily; a row that has ended makes room for the next."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from copywriter.errors import UserError, progress
from copywriter.generation import kv_cache
from copywriter.generation.decode_batch import Slots
from copywriter.generation.sampling import Chooser
from copywriter.modeling import compilation
from copywriter.params import Decoding

_LOOK = 8  # steps between looks at which rows have ended: each look waits for the GPU
_ON_A_CPU = 64  # texts at once: more take memory, and no less time each


@dataclass(frozen=True, slots=True)
class Written:
    """A generated text, stripped of white space at its ends, and whether the model ended it itself."""

    text: str
    stopped: bool
    tokens: int  # the end token included


def texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    width: int = 0,
    compiled: bool = False,
) -> Iterator[tuple[int, Written]]:
    """The number of each prompt and what `model` writes for it, in the order in which they end. See `greedy`."""
    end = int(tokenizer.eos_token_id)
    with tqdm(**progress("texts", len(prompts))) as bar:
        for row, ids in greedy(model, prompts, end, decoding, width=width, compiled=compiled):
            yield row, _written(tokenizer, ids, end)
            bar.update()


@torch.inference_mode()
def greedy(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    end: int,
    decoding: Decoding,
    most: Sequence[int] | None = None,
    width: int = 0,
    compiled: bool = False,
) -> Iterator[tuple[int, list[int]]]:
    """The number of each prompt and its new token ids, up to `end` (included), in the order in which they end.

    `most`: new tokens at most for each prompt, max_new_tokens where None. `width`: tokens to which every prompt is
    padded, the longest where 0; a text depends on it, within rounding. `compiled`: whether blocks are, on CUDA.
    """
    waiting = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))  # taken from the end: short ones first
    fixed = model.device.type == "cuda"
    count = decoding.batch_size if fixed else min(decoding.batch_size, len(prompts), _ON_A_CPU)
    at_once = max(1, count // 8)
    choose = Chooser(decoding, end, model.get_output_embeddings().weight.shape[0])  # type: ignore[no-untyped-call]
    longest = max(width, max(map(len, prompts), default=0))
    with kv_cache.attending(model), compilation.compiled(model) if compiled else nullcontext(), _room(decoding):
        slots = Slots(model, count, longest, decoding.max_new_tokens, choose, compiled)
        rows: dict[int, int] = {}  # by slot
        while waiting or rows:
            free = [slot for slot in range(count) if slot not in rows]
            while waiting and len(free) >= at_once:
                new = [waiting.pop() for _ in range(min(at_once, len(waiting)))]
                rows |= zip(free, new, strict=False)
                places, free = free[: len(new)], free[at_once:]
                if fixed:  # one shape: the last row fills up what lacks, and writes its own values again
                    new, places = (each + each[-1:] * (at_once - len(each)) for each in (new, places))
                caps = [most[row] if most else decoding.max_new_tokens for row in new]
                slots.fill(places, [prompts[row] for row in new], caps)
            for _ in range(_LOOK if fixed else 1):
                slots.step()
            for slot, ids in slots.ended(list(rows)).items():
                yield rows.pop(slot), ids
            if not fixed and not waiting and 0 < 2 * len(rows) <= count:
                slots.keep(list(rows))
                rows = dict(enumerate(rows.values()))
                count = len(rows)


@torch.inference_mode()
def stream(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: list[int], decoding: Decoding, choose: Chooser
) -> Iterator[tuple[str, Written | None]]:
    """Pieces of the text for one prompt as its tokens come, each with None; the last one with the whole.

    Joined they are the text that `texts` writes for the prompt alone. White space waits for a letter after it,
    and half a character for its other half.
    """
    ids: list[int] = []
    shown = ""
    going = True
    with kv_cache.attending(model), _room(decoding):
        slots = Slots(model, 1, len(prompt), decoding.max_new_tokens, choose, compiled=False, captured=False)
        slots.fill([0], [prompt], [decoding.max_new_tokens])
        while going:
            slots.step()
            new, going = slots.written(0, len(ids))
            ids += new
            whole = _written(tokenizer, ids, choose.end)
            sure = whole.text.rstrip("\ufffd").rstrip() if going else whole.text
            if not going:
                yield sure.removeprefix(shown), whole
            elif len(sure) > len(shown) and sure.startswith(shown):
                yield sure[len(shown) :], None
                shown = sure


def _written(tokenizer: PreTrainedTokenizerBase, ids: list[int], end: int) -> Written:
    stopped = ids[-1:] == [end]
    text = str(tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True)).strip()
    return Written(text, stopped, len(ids))


@contextmanager
def _room(decoding: Decoding) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory does not hold decoding.batch_size {decoding.batch_size} texts at once; halve it"
        ) from error
