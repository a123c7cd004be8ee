"""Ways to let a model write for many prompts, each as its users would call it; all stop where the rows' texts end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria

from benchmarks.rows import PAD
from benchmarks.sides import LORA, ROOT
from copywriter import params
from copywriter.generation import generate
from copywriter.modeling import compilation, device, loading, lora

Prompts = Sequence[list[int]]
Caps = Sequence[int]  # new tokens of each row: random weights would never stop
_NEW = 450
_NEVER = -1  # the id of an end token that no model writes: texts end where the rows' do, on every side


class _Ended(StoppingCriteria):
    """Rows end where their texts do, as if the model had written its end token there."""

    def __init__(self, width: int, caps: torch.Tensor) -> None:
        self._width, self._caps = width, caps

    def __call__(self, input_ids: torch.Tensor, scores: Any, **unused: Any) -> Any:
        return input_ids.shape[1] - self._width >= self._caps


def adapted(weights: Path) -> Any:
    """The 4-bit base with an adapter beside it, as it is after training."""
    processor = device.choose()
    base = loading.load_base(weights, "4bit", device.dtype("auto", processor), processor)
    p = params.load(ROOT / "params.yaml")
    settings = {**LORA, "dropout": 0.0, "target_modules": "all-linear"}
    return lora.with_adapter(base, p.model_copy(update={"lora": p.lora.model_copy(update=settings)})).eval()


def dense(weights: Path) -> Any:
    """Plain 16-bit weights, an adapter merged into them or none."""
    processor = device.choose()
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        weights, dtype=device.dtype("auto", processor), device_map={"": processor}, attn_implementation="sdpa"
    )
    return loaded.eval()


def batches(size: int) -> Callable[[Any, Prompts, Caps], int]:
    """transformers' generate, `size` prompts at a time, in their order, padded on the left."""

    def write(loaded: Any, prompts: Prompts, caps: Caps) -> int:
        count = 0
        for start in range(0, len(prompts), size):
            batch, most = prompts[start : start + size], torch.tensor(caps[start : start + size])
            width = max(map(len, batch))
            ids = torch.tensor([[PAD] * (width - len(one)) + one for one in batch], device=loaded.device)
            loaded.generate(
                input_ids=ids,
                attention_mask=ids.ne(PAD).long(),
                do_sample=False,
                max_new_tokens=_NEW,
                eos_token_id=None,
                pad_token_id=PAD,
                stopping_criteria=[_Ended(width, most.to(loaded.device))],
            )
            count += int(most.sum())
        return count

    return write


def continuous(loaded: Any, prompts: Prompts, caps: Caps) -> int:
    """transformers' own continuous batching."""
    config = GenerationConfig(do_sample=False, max_new_tokens=_NEW, eos_token_id=-1, pad_token_id=PAD)  # type: ignore[no-untyped-call]
    count = 0
    with loaded.continuous_batching_context_manager(generation_config=config) as manager:
        for ids, most in zip(prompts, caps, strict=True):
            manager.add_request(ids, max_new_tokens=most)
        waiting = len(prompts)
        while waiting:
            if result := manager.get_result(timeout=1):
                waiting -= 1
                count += len(result.generated_tokens)
            elif not manager.is_running():
                raise RuntimeError(f"its thread ended with {waiting} prompts unanswered")
    return count


def ours(slots: int) -> Callable[[Any, Prompts, Caps], int]:
    """copywriter.generation.generate with so many texts at once."""

    def write(loaded: Any, prompts: Prompts, caps: Caps) -> int:
        decoding = params.load(ROOT / "params.yaml").decoding.model_copy(
            update={"batch_size": slots, "max_new_tokens": _NEW}
        )
        compiled = compilation.obstacle(loaded.device) is None
        rows = generate.greedy(loaded, prompts, _NEVER, decoding, most=caps, width=75, compiled=compiled)
        return sum(len(ids) for _, ids in rows)

    return write


Way = tuple[Callable[[Path], Any], Callable[[Any, Prompts, Caps], int], int, str]
WAYS: dict[str, Way] = {  # how the model is loaded, how it writes, for how many prompts it is timed, and a note
    "one-at-a-time": (adapted, batches(1), 3, "generate, 4-bit base and adapter, a prompt a call"),
    "batches-4bit": (adapted, batches(256), 256, "generate, 4-bit base and adapter, 256 prompts a call"),
    "batches-merged": (dense, batches(256), 512, "generate, 16-bit weights, 256 prompts a call"),
    "batches-16": (dense, batches(16), 64, "generate, merged weights, 16 prompts a call"),
    "continuous": (dense, continuous, 512, "transformers' continuous batching, 16-bit weights"),
    "ours": (dense, ours(512), 4000, "ours, 16-bit weights, 512 at once"),
}
