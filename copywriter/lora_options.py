"""Which options of PEFT's LoraConfig `lora:` in params.yaml may hold; checking them needs no import of PEFT."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

OWN = ("r", "alpha", "dropout", "target_modules")  # keys of params.Lora
_Texts = Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
_Patterns = Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
_Number = Annotated[int, Field(ge=0)]


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("false")
    return value


# What each accepted option may be, and the same in words.
ACCEPTED: dict[str, tuple[Any, str]] = {
    "alpha_pattern": (
        Annotated[dict[str, Annotated[int | float, Field(gt=0)]], Field(min_length=1)],
        "a mapping from layer names to numbers above 0",
    ),
    "exclude_modules": (_Texts, "a list of layer names, or a regular expression"),
    "init_lora_weights": (
        Annotated[bool, AfterValidator(_true)] | Literal["gaussian"],
        "true or gaussian, because the other initializations need data, change the base's weights, or do not start "
        "from the base model",
    ),
    "layers_pattern": (_Texts, "the name of the list of blocks, such as layers"),
    "layers_to_transform": (_Number | Annotated[list[_Number], Field(min_length=1)], "a block's number, or a list"),
    "rank_pattern": (_Patterns, "a mapping from layer names to ranks of at least 1"),
    "use_dora": (bool, "true or false"),
    "use_rslora": (bool, "true or false"),
}

_MERGE = "evaluate, ask and export merge only LoRA's A and B and DoRA's magnitudes into the base"
_FROZEN = "the base's own weights stay frozen here, and the adapter's file holds LoRA weights only"
_DATA = "its initialization needs a pass over data, which training does not make"
_SET = "this project sets it"
# Every other option: the one value that it may have, and why no other.
REFUSED: dict[str, tuple[Any, str]] = {
    "alora_invocation_tokens": (None, "the adapter must act on every token to be merged into the base"),
    "arrow_config": (None, "it routes between several adapters, and there is one here"),
    "auto_mapping": (None, _SET),
    "base_model_name_or_path": (None, "the base is the entry of sources.yaml that `model` names"),
    "bias": ("none", _FROZEN),
    "corda_config": (None, _DATA),
    "ensure_weight_tying": (False, _FROZEN),
    "eva_config": (None, _DATA),
    "fan_in_fan_out": (False, "it is for Conv1D layers, and only linear layers get an adapter"),
    "inference_mode": (False, _SET),
    "kasa_config": (None, _MERGE),
    "layer_replication": (None, "it would change the base model's layers"),
    "loftq_config": ({}, "it would change the base's weights"),
    "lora_alpha": (None, "its key is `alpha`"),
    "lora_bias": (False, _MERGE),
    "lora_dropout": (None, "its key is `dropout`"),
    "lora_ga_config": (None, _DATA),
    "megatron_config": (None, "models are not loaded through Megatron"),
    "megatron_core": ("megatron.core", "models are not loaded through Megatron"),
    "modules_to_save": (None, _FROZEN),
    "monteclora_config": (None, _MERGE),
    "peft_type": ("LORA", _SET),
    "peft_version": (None, _SET),
    "qalora_group_size": (16, "use_qalora is not supported"),
    "revision": (None, "the base is the entry of sources.yaml that `model` names"),
    "runtime_config": (None, _SET),
    "target_parameters": (None, "only linear layers get an adapter; name them in target_modules"),
    "task_type": ("CAUSAL_LM", _SET),
    "trainable_token_indices": (None, _FROZEN),
    "use_bdlora": (None, _MERGE),
    "use_qalora": (False, _MERGE),
    "velora_config": (None, _MERGE),
}


def check(options: Mapping[str, Any]) -> None:
    """Raises ValueError with a sentence for each option that LoraConfig lacks, of a wrong type, or not supported."""
    if mistakes := list(_mistakes(options)):
        raise ValueError("; ".join(mistakes))


def for_peft(options: Mapping[str, Any]) -> dict[str, Any]:
    """The checked options that LoraConfig gets: all but those of a single value, which is PEFT's default or ours."""
    return {name: value for name, value in options.items() if name in ACCEPTED}


def is_refused(name: str, value: object) -> bool:
    """Whether an option of REFUSED has another value than the one that it may have."""
    only = REFUSED[name][0]
    return value != only or type(value) is not type(only)


def _mistakes(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if name in REFUSED:
            if is_refused(name, value):
                yield f"{name} is {value!r}, which is not supported: {REFUSED[name][1]}; remove the key"
        elif name not in ACCEPTED:
            near = difflib.get_close_matches(name, [*OWN, *ACCEPTED, *REFUSED])
            cure = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join([*OWN, *ACCEPTED])}"
            yield f"{name} is not an option of PEFT's LoraConfig ({cure})"
        else:
            kind, words = ACCEPTED[name]
            try:
                TypeAdapter(kind).validate_python(value, strict=True)
            except ValidationError:
                yield f"{name} is {value!r}; it must be {words}"
    if "layers_pattern" in options and "layers_to_transform" not in options:
        yield "layers_pattern is without effect alone; add layers_to_transform, or remove it"
