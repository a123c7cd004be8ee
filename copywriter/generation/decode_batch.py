"""The decode batch: a fixed number of rows that each generate one text, at fixed shapes, over a fixed-size KV cache.

Rows are independent. On CUDA, where every step replays the same graph, a text has the same bits whichever texts are
generated beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from copywriter.generation import kv_cache
from copywriter.generation.logits import require_numbers
from copywriter.generation.sampling import Sampler
from copywriter.modeling.cuda_graph import Replay

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class DecodeBatch:
    """`size` rows, each with a prompt of at most `prompt_length` tokens and at most `max_new_tokens` new ones."""

    def __init__(
        self,
        model: PreTrainedModel,
        size: int,
        prompt_length: int,
        max_new_tokens: int,
        sampler: Sampler,
        compiled: bool,
        captured: bool = True,
    ) -> None:
        """Needs kv_cache.enabled(model). `compiled`: the model's blocks are; `captured`: CUDA graphs replay steps."""
        modules = kv_cache.attention_modules(model)
        self._model = model
        self._sampler = sampler
        self._compiled = compiled
        self._captured = captured and model.device.type == "cuda"
        self._prompt_length = prompt_length
        self._length = -(-(prompt_length + max_new_tokens) // kv_cache.BLOCK) * kv_cache.BLOCK
        self._windows = {getattr(one, "sliding_window", None) for one in modules}
        self._group = int(modules[0].num_key_value_groups)
        numbers: Any = {"dtype": torch.long, "device": model.device}
        self._token = torch.zeros(size, **numbers)  # the newest token of each row: not in the cache yet
        self._position = torch.zeros(size, **numbers)  # its position in the row, from 0
        self._prompt = torch.full((size, prompt_length), sampler.padding, **numbers)
        self._generated = torch.full((size, max_new_tokens), sampler.padding, **numbers)
        self._count = torch.zeros(size, **numbers)  # generated tokens
        self._limit = torch.zeros(size, **numbers)  # of generated tokens
        self._streams = torch.zeros(size, **numbers)  # of random numbers
        self._active = torch.zeros(size, dtype=torch.bool, device=model.device)
        self._failed = torch.zeros((), dtype=torch.bool, device=model.device)  # a logit was NaN
        self._replay: Replay | None = None

    def insert(
        self,
        rows: Sequence[int],
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        streams: Sequence[int] | None = None,
    ) -> None:
        """Starts a text in each of `rows`, of at most `limits` new tokens; whatever was in the row is replaced.

        `streams`: of the random numbers of each text, see sampling.stream_of; needed where the sampler draws.
        """
        at = torch.tensor(rows, device=self._model.device)
        last = torch.tensor([len(ids) - 1 for ids in prompts], device=self._model.device)
        padded = [[*ids, *[0] * (self._prompt_length - len(ids))] for ids in prompts]
        ids = torch.tensor(padded, device=self._model.device)
        with torch.compiler.set_stance("force_eager") if self._compiled else nullcontext():
            # Padding is on the right: no prompt token attends to it, and its cache entries are overwritten before use.
            # The first step computes the last prompt token again, so that every step is alike.
            self._model.base_model(
                input_ids=ids,
                position_ids=torch.arange(self._prompt_length, device=self._model.device)[None],
                use_cache=False,
                prefill=kv_cache.Prefill(at, len(self._generated), self._length),
            )
        self._token[at] = ids.gather(1, last[:, None])[:, 0]
        self._position[at] = last
        inside = torch.arange(self._prompt_length, device=ids.device) <= last[:, None]
        self._prompt[at] = torch.where(inside, ids, self._sampler.padding)
        self._generated[at] = self._sampler.padding
        self._count[at] = 0
        self._limit[at] = torch.tensor(limits, device=self._model.device)
        self._streams[at] = torch.tensor(streams or [0] * len(rows), device=self._model.device)
        self._active[at] = True

    def step(self) -> None:
        """Generates one more token in every active row."""
        if not self._captured:
            self._step({})
        elif self._replay is None:
            self._replay = Replay(self._step, {})  # its warm-up calls are steps too
        else:
            self._replay({})

    def finished(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """The new token ids, end token included, of those of `rows` that are no longer active.

        UserError when a logit was NaN.
        """
        active = self._active.tolist()
        require_numbers(not self._failed, self._model.dtype)
        done = [row for row in rows if not active[row]]
        if not done:
            return {}
        at = torch.tensor(done, device=self._model.device)
        results = zip(self._generated[at].tolist(), self._count[at].tolist(), strict=True)
        return {row: ids[:count] for row, (ids, count) in zip(done, results, strict=True)}

    def generated(self, row: int, start: int) -> tuple[list[int], bool]:
        """The row's new token ids from `start` on, and whether it is still active; UserError as in `finished`."""
        require_numbers(not self._failed, self._model.dtype)
        return self._generated[row, start : int(self._count[row])].tolist(), bool(self._active[row])

    def shrink(self, rows: Sequence[int]) -> None:
        """Keeps only `rows`, in this order, for shorter steps; never on CUDA, where the graph's shapes are fixed."""
        at = torch.tensor(rows, device=self._model.device)
        for name in ("_token", "_position", "_prompt", "_generated", "_count", "_limit", "_streams", "_active"):
            setattr(self, name, getattr(self, name)[at])
        kv_cache.select_rows(self._model, at)

    def _step(self, batch: object) -> torch.Tensor:
        length = self._length if self._captured else int(self._position.max()) + 1
        logits = self._model(
            input_ids=self._token[:, None],
            position_ids=self._position[:, None],
            use_cache=False,
            logits_to_keep=1,
            positions=self._position,
            masks=kv_cache.causal_masks(self._position, length, self._group, self._windows, self._compiled),
        ).logits[:, -1]
        token = self._sampler(logits, self._generated, self._count, self._prompt, self._streams)
        # argmax treats NaN as the largest value, so a NaN among the logits is always chosen.
        self._failed |= (logits.gather(1, token[:, None])[:, 0].isnan() & self._active).any()
        token = torch.where(self._active, token, self._token)
        # A finished row rewrites its last token: nothing after its end changes.
        at = (self._count - (~self._active).long()).clamp(min=0)[:, None]
        self._generated.scatter_(1, at, token[:, None])
        self._token.copy_(token)
        self._count += self._active
        self._position += self._active
        self._active &= (token != self._sampler.end) & (self._count < self._limit)
        return self._active
