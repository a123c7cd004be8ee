"""Rows that write at the same time, each in a slot of its own, all at fixed shapes.

What a slot computes does not depend on the others: on CUDA, where every step is one and the same graph, a text is the
same to the bit whichever rows are written beside it.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from transformers import PreTrainedModel

from copywriter.generation import kv_cache
from copywriter.generation.logits import require_numbers
from copywriter.generation.sampling import Chooser
from copywriter.modeling.cuda_graph import Replay


class Slots:
    """`count` rows with prompts of at most `prompt` tokens, each of which may write `new` tokens."""

    def __init__(
        self,
        model: PreTrainedModel,
        count: int,
        prompt: int,
        new: int,
        choose: Chooser,
        compiled: bool,
        captured: bool = True,
    ) -> None:
        """To be used within cached.attending(model); `compiled`: whether its blocks are; `captured`: steps, on CUDA."""
        attentions = kv_cache.attentions(model)
        self._model = model
        self._choose = choose
        self._compiled = compiled
        self._captured = captured and model.device.type == "cuda"
        self._prompt = prompt
        self._length = -(-(prompt + new) // kv_cache.BLOCK) * kv_cache.BLOCK
        self._windows = {getattr(one, "sliding_window", None) for one in attentions}
        self._group = int(attentions[0].num_key_value_groups)
        numbers: Any = {"dtype": torch.long, "device": model.device}
        self._token = torch.zeros(count, **numbers)  # the newest of each row: not computed yet
        self._place = torch.zeros(count, **numbers)  # its number in the row, from 0
        self._asked = torch.full((count, prompt), choose.nothing, **numbers)
        self._written = torch.full((count, new), choose.nothing, **numbers)
        self._tokens = torch.zeros(count, **numbers)  # written so far
        self._most = torch.zeros(count, **numbers)  # that may be written
        self._writes = torch.zeros(count, dtype=torch.bool, device=model.device)
        self._broken = torch.zeros((), dtype=torch.bool, device=model.device)
        self._replay: Replay | None = None

    def fill(self, slots: Sequence[int], prompts: Sequence[Sequence[int]], most: Sequence[int]) -> None:
        """Begins a row in each of `slots`, which writes up to `most` tokens."""
        place = torch.tensor(slots, device=self._model.device)
        last = torch.tensor([len(ids) - 1 for ids in prompts], device=self._model.device)
        ids = torch.tensor([[*ids, *[0] * (self._prompt - len(ids))] for ids in prompts], device=self._model.device)
        with torch.compiler.set_stance("force_eager") if self._compiled else nullcontext():
            # Padded on the right: nothing before a pad sees it, and what it leaves is overwritten before it is seen.
            # The last token is computed again by the first step, which is like any other.
            self._model.base_model(
                input_ids=ids,
                position_ids=torch.arange(self._prompt, device=self._model.device)[None],
                use_cache=False,
                begins=(place, len(self._writes), self._length),
            )
        self._token[place] = ids.gather(1, last[:, None])[:, 0]
        self._place[place] = last
        inside = torch.arange(self._prompt, device=ids.device) <= last[:, None]
        self._asked[place] = torch.where(inside, ids, self._choose.nothing)
        self._written[place] = self._choose.nothing
        self._tokens[place] = 0
        self._most[place] = torch.tensor(most, device=self._model.device)
        self._writes[place] = True

    def step(self) -> None:
        """Every row that writes writes one token more."""
        if not self._captured:
            self._step({})
        elif self._replay is None:
            self._replay = Replay(self._step, {})  # its warm-up are steps as well
        else:
            self._replay({})

    def ended(self, slots: Sequence[int]) -> dict[int, list[int]]:
        """What the rows wrote that write no more, of those in `slots`; the end token included.

        UserError when a model's logits are no numbers.
        """
        writes = self._writes.tolist()
        require_numbers(not self._broken, self._model.dtype)
        done = [slot for slot in slots if not writes[slot]]
        if not done:
            return {}
        place = torch.tensor(done, device=self._model.device)
        rows = zip(self._written[place].tolist(), self._tokens[place].tolist(), strict=True)
        return {slot: ids[:tokens] for slot, (ids, tokens) in zip(done, rows, strict=True)}

    def written(self, slot: int, after: int) -> tuple[list[int], bool]:
        """The tokens that the row wrote `after` the first so many, and whether it goes on; UserError as in `ended`."""
        require_numbers(not self._broken, self._model.dtype)
        return self._written[slot, after : int(self._tokens[slot])].tolist(), bool(self._writes[slot])

    def keep(self, slots: Sequence[int]) -> None:
        """Leaves `slots` alone, in this order, for shorter steps; never on CUDA, where a step is captured."""
        place = torch.tensor(slots, device=self._model.device)
        for name in ("_token", "_place", "_asked", "_written", "_tokens", "_most", "_writes"):
            setattr(self, name, getattr(self, name)[place])
        for one in kv_cache.attentions(self._model):
            one.slot_keys, one.slot_values = one.slot_keys[place], one.slot_values[place]

    def _step(self, batch: object) -> torch.Tensor:
        longest = self._length if self._captured else int(self._place.max()) + 1
        logits = self._model(
            input_ids=self._token[:, None],
            position_ids=self._place[:, None],
            use_cache=False,
            logits_to_keep=1,
            places=self._place,
            seen=kv_cache.seen(self._place, longest, self._group, self._windows, self._compiled),
        ).logits[:, -1]
        token = self._choose(logits, self._written, self._tokens, self._asked)
        # What is no number counts as the largest: it is chosen wherever there is one.
        self._broken |= (logits.gather(1, token[:, None])[:, 0].isnan() & self._writes).any()
        token = torch.where(self._writes, token, self._token)
        # A row that has ended writes its last token over and over: behind its own end nothing changes.
        at = (self._tokens - (~self._writes).long()).clamp(min=0)[:, None]
        self._written.scatter_(1, at, token[:, None])
        self._token.copy_(token)
        self._tokens += self._writes
        self._place += self._writes
        self._writes &= (token != self._choose.end) & (self._tokens < self._most)
        return self._writes
