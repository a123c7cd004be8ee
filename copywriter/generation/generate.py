"""Prompts -> texts, greedy or sampled, in batches: when a text is finished, the next prompt takes its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from copywriter.errors import UserError, progress
from copywriter.generation import constrained_numbers, kv_cache
from copywriter.generation.decode_batch import DecodeBatch
from copywriter.generation.sampling import Sampler
from copywriter.modeling import compilation
from copywriter.params import Decoding

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_STEPS_PER_CHECK = 8  # on CUDA: asking which rows are finished waits for the GPU
_CPU_BATCH_SIZE = 64  # larger batches take more memory on a CPU, and no less time a text


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated text, without white space at its ends, and whether the model ended it itself."""

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
    temperature: float = 0.0,
    streams: Sequence[int] | None = None,
    constrain_numbers: bool = False,
) -> Iterator[tuple[int, Generated]]:
    """The index of each prompt and the text that `model` generates for it, in order of completion. See `decode`.

    `constrain_numbers`: a text has only numbers of its prompt, see constrained_numbers.
    """
    end = int(tokenizer.eos_token_id)
    digits = constrained_numbers.digit_tokens(tokenizer, vocabulary_size(model)) if constrain_numbers else None
    with tqdm(**progress("texts", len(prompts))) as bar:
        for prompt, ids in decode(model, prompts, end, decoding, None, width, compiled, temperature, streams, digits):
            yield prompt, _decoded(tokenizer, ids, end)
            bar.update()


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    end: int,
    decoding: Decoding,
    most: Sequence[int] | None = None,
    width: int = 0,
    compiled: bool = False,
    temperature: float = 0.0,
    streams: Sequence[int] | None = None,
    digits: torch.Tensor | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """The index of each prompt and its new token ids, up to `end` (included), in order of completion.

    `most`: the largest number of new tokens of each prompt, max_new_tokens where None. `width`: the length to which
    prompts are padded, that of the longest where 0; it can change a text by rounding. `compiled`: on CUDA, compile the
    model's blocks. `temperature`: 0 is greedy; above, each prompt has its stream of random numbers in `streams`, see
    sampling.stream_of. `digits`: as Sampler takes them.
    """
    waiting = sorted(range(len(prompts)), key=lambda one: -len(prompts[one]))  # taken from the end: shortest first
    fixed = model.device.type == "cuda"
    size = decoding.batch_size if fixed else min(decoding.batch_size, len(prompts), _CPU_BATCH_SIZE)
    at_once = max(1, size // 8)
    sampler = Sampler(decoding, end, vocabulary_size(model), temperature, model.device, digits)
    longest = max(width, max(map(len, prompts), default=0))
    with kv_cache.enabled(model), compilation.compiled(model) if compiled else nullcontext(), _memory(decoding):
        batch = DecodeBatch(model, size, longest, decoding.max_new_tokens, sampler, compiled)
        running: dict[int, int] = {}  # row of the batch -> index of its prompt
        while waiting or running:
            free = [row for row in range(size) if row not in running]
            while waiting and len(free) >= at_once:
                new = [waiting.pop() for _ in range(min(at_once, len(waiting)))]
                running |= zip(free, new, strict=False)
                rows, free = free[: len(new)], free[at_once:]
                if fixed:  # always one shape: the last prompt is repeated in its own row
                    new, rows = (each + each[-1:] * (at_once - len(each)) for each in (new, rows))
                limits = [most[prompt] if most else decoding.max_new_tokens for prompt in new]
                drawn = [streams[prompt] for prompt in new] if streams else None
                batch.insert(rows, [prompts[prompt] for prompt in new], limits, drawn)
            for _ in range(_STEPS_PER_CHECK if fixed else 1):
                batch.step()
            for row, ids in batch.finished(list(running)).items():
                yield running.pop(row), ids
            if not fixed and not waiting and 0 < 2 * len(running) <= size:
                batch.shrink(list(running))
                running = dict(enumerate(running.values()))
                size = len(running)


def vocabulary_size(model: PreTrainedModel) -> int:
    """The number of logits, which may be larger than the tokenizer's vocabulary."""
    return int(model.get_output_embeddings().weight.shape[0])  # type: ignore[no-untyped-call]


@torch.inference_mode()
def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: list[int],
    decoding: Decoding,
    sampler: Sampler,
    random_stream: int = 0,
) -> Iterator[tuple[str, Generated | None]]:
    """Pieces of the text for one prompt as its tokens are generated, each with None; the last with the whole text.

    Joined they are the text that `texts` gives for the prompt alone, with `random_stream` as its stream. White space is
    held back until a letter follows, and an incomplete UTF-8 character until it is complete.
    """
    ids: list[int] = []
    shown = ""
    active = True
    with kv_cache.enabled(model), _memory(decoding):
        batch = DecodeBatch(model, 1, len(prompt), decoding.max_new_tokens, sampler, compiled=False, captured=False)
        batch.insert([0], [prompt], [decoding.max_new_tokens], [random_stream])
        while active:
            batch.step()
            new, active = batch.generated(0, len(ids))
            ids += new
            whole = _decoded(tokenizer, ids, sampler.end)
            final = whole.text.rstrip("\ufffd").rstrip() if active else whole.text
            if not active:
                yield final.removeprefix(shown), whole
            elif len(final) > len(shown) and final.startswith(shown):
                yield final[len(shown) :], None
                shown = final


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int], end: int) -> Generated:
    stopped = ids[-1:] == [end]
    text = str(tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True)).strip()
    return Generated(text, stopped, len(ids))


@contextmanager
def _memory(decoding: Decoding) -> Iterator[None]:
    """UserError with the cure where the GPU's memory is too small."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory is too small for decoding.batch_size {decoding.batch_size}; halve it in params.yaml"
        ) from error
