"""Which layers get an adapter: PEFT's selection by params.yaml, refused where an entry of it selects nothing."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn
from transformers import PreTrainedModel

from copywriter import lora_options
from copywriter.errors import UserError
from copywriter.modeling import lora_merge
from copywriter.params import Lora

ALL = "all-linear"


def config(model: PreTrainedModel, lora: Lora) -> LoraConfig:
    """PEFT's configuration of an adapter of `model`; UserError with each entry that selects no linear layer."""
    linear = linear_layers(model)
    targets = lora.target_modules
    options = lora_options.for_peft(lora.options)
    if targets == ALL and "layers_to_transform" in options:  # PEFT overlooks it beside all-linear
        targets = _short(linear)
    try:
        made = LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
            bias="none",
            task_type="CAUSAL_LM",
            **options,
        )
        everything = [name for name, _ in model.named_modules() if name]
        mistakes = list(_unknown_targets(linear, everything, targets))
        mistakes = mistakes or list(_without_effect(linear, linear if targets == ALL else targets, options))
    except (ValueError, re.error) as error:
        raise UserError(f"lora: PEFT does not take these options ({' '.join(str(error).split())})") from error
    if mistakes:
        layers = f"the model's linear layers are {', '.join(_short(linear))}, in blocks {_blocks(linear)}"
        raise UserError(f"lora: {'; '.join(mistakes)}; {layers}, without the output layer")
    return made


def linear_layers(model: PreTrainedModel) -> list[str]:
    """The layers that can have an adapter, by name: all linear ones but the output layer, which the loss freezes."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return [name for name, one in model.named_modules() if isinstance(one, nn.Linear) and one is not head]


def _unknown_targets(linear: Sequence[str], everything: Sequence[str], targets: str | Sequence[str]) -> Iterator[str]:
    """A clause for targets that are no layer of the model, or one that cannot have an adapter."""
    if targets == ALL:
        if not linear:
            yield "no layer of the model can have an adapter"
        return
    alone = [targets] if isinstance(targets, str) else [[one] for one in targets]
    if unknown := [one if isinstance(one, str) else one[0] for one in alone if not _selected(linear, one)]:
        yield f"target_modules has {', '.join(unknown)}, which fits no linear layer"
    elif others := [name for name in _selected(everything, targets) if name not in linear]:
        yield f"target_modules selects {others[0]}, which cannot have an adapter"


def _without_effect(linear: Sequence[str], targets: str | Sequence[str], options: dict[str, Any]) -> Iterator[str]:
    """A clause for each entry of the options that selects none of the targeted layers, or one twice."""
    if not options:
        return
    within = {key: options[key] for key in ("layers_to_transform", "layers_pattern") if key in options}
    for key in within:
        for one in _entries(options[key]):
            if not _selected(linear, targets, **within | {key: [one]}):
                yield f"{key} has {one}, which fits none of the targeted layers"
    candidates = _selected(linear, targets, **within)
    excluded = options.get("exclude_modules", [])
    for one in [excluded] if isinstance(excluded, str) else [[entry] for entry in excluded]:
        if _selected(candidates, targets, exclude_modules=one) == candidates:
            name = one if isinstance(one, str) else one[0]
            yield f"exclude_modules has {name}, which fits none of the targeted layers"
    chosen = _selected(candidates, targets, exclude_modules=excluded)
    if candidates and not chosen:
        yield "exclude_modules excludes every targeted layer"
        return
    for pattern in ("rank_pattern", "alpha_pattern"):
        patterns = options.get(pattern, {})
        fitting = {name: [one for one in patterns if lora_merge.fits(one, name)] for name in chosen}
        used = {one for found in fitting.values() for one in found}
        if unused := [one for one in patterns if one not in used]:
            yield f"{pattern} has {', '.join(unused)}, which fits none of the targeted layers"
        # PEFT would take the first, and the file of an adapter does not keep their order.
        for name, found in fitting.items():
            if len(found) > 1:
                yield f"{pattern} has two entries for {name}: {' and '.join(found)}"
                break


def _selected(names: Sequence[str], targets: str | Sequence[str], **options: Any) -> list[str]:
    """Those of the names that PEFT would give an adapter."""
    given = LoraConfig(target_modules=targets if isinstance(targets, str) else list(targets), **options)
    return [name for name in names if check_target_module_exists(given, name)]


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(names: Sequence[str]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in names})


def _blocks(names: Sequence[str]) -> str:
    numbers = [int(part) for name in names for part in name.split(".") if part.isdigit()]
    return f"{min(numbers)} to {max(numbers)}" if numbers else "without numbers"
