"""Options of PEFT's LoraConfig: each is accepted or refused, and selects layers of the model or names the cure."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig

from copywriter import lora_options
from copywriter.errors import UserError
from copywriter.modeling import lora, lora_groups
from tests.conftest import changed
from tests.support.lora_options import OPTIONS, TOGETHER, base, options


def test_every_option_of_peft_is_accepted_or_refused() -> None:
    names = {field.name for field in dataclasses.fields(LoraConfig)} - {"r", "target_modules"}
    assert names == set(lora_options.ACCEPTED) | set(lora_options.REFUSED)
    assert not set(lora_options.ACCEPTED) & set(lora_options.REFUSED)
    assert set().union(*(OPTIONS[name] for name in TOGETHER)) == set(lora_options.ACCEPTED)


@pytest.mark.parametrize("name", sorted(lora_options.REFUSED))
def test_a_refused_option_says_why(name: str) -> None:
    with pytest.raises(UserError, match=rf"lora: {name} is 'other', which is not supported: .*; remove the key"):
        changed(**{f"lora__{name}": "other"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"use_dorra": True}, "use_dorra is not an option of PEFT's LoraConfig (did you mean use_dora"),
        ({"drop_out": 0.1}, "did you mean dropout"),
        ({"frobnicate": 1}, "there are r, alpha, dropout, target_modules, alpha_pattern"),
        ({"use_dora": "yes"}, "use_dora is 'yes'; it must be true or false"),
        ({"use_rslora": 1}, "use_rslora is 1; it must be true or false"),
        ({"rank_pattern": {"q_proj": 0}}, "it must be a mapping from layer names to ranks of at least 1"),
        ({"rank_pattern": ["q_proj"]}, "it must be a mapping"),
        ({"alpha_pattern": {"q_proj": -1}}, "it must be a mapping from layer names to numbers above 0"),
        ({"layers_to_transform": "0-3"}, "it must be a block's number, or a list"),
        ({"layers_to_transform": []}, "it must be a block's number, or a list"),
        ({"exclude_modules": []}, "it must be a list of layer names"),
        ({"layers_pattern": "layers"}, "add layers_to_transform"),
        ({"init_lora_weights": "pissa"}, "it must be true or gaussian"),
        ({"init_lora_weights": False}, "it must be true or gaussian"),
        ({"use_dora": 1, "bias": "all"}, "bias is 'all', which is not supported"),
    ],
)
def test_a_wrong_option_is_one_sentence_with_the_cure(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        changed(**{f"lora__{key}": value for key, value in given.items()})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_at_their_only_value_change_nothing(room: Path) -> None:
    p = changed(lora__bias="none", lora__task_type="CAUSAL_LM", lora__init_lora_weights=True)
    one, other = (lora.with_adapter(base(room), each) for each in (p, changed()))
    assert one.peft_config == other.peft_config
    for (name, value), expected in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target_modules": ["q_proj", "query"]}, "target_modules has query, which fits no linear layer"),
        ({"target_modules": ["query", "proj"]}, "target_modules has query, proj, which"),
        ({"target_modules": ["lm_head"]}, "target_modules has lm_head"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "target_modules has embed_tokens"),
        ({"target_modules": "all-liner"}, "target_modules has all-liner"),
        ({"target_modules": r".*self_attn.*"}, "selects model.layers.0.self_attn, which cannot have an adapter"),
        ({"target_modules": r".*(head|q_proj)"}, "selects lm_head, which cannot have an adapter"),
        ({"layers_to_transform": [0, 2]}, "layers_to_transform has 2, which fits none of the targeted layers"),
        ({"layers_to_transform": 1, "layers_pattern": ["layers", "h"]}, "layers_pattern has h, which"),
        ({"exclude_modules": ["q_proj", "query"]}, "exclude_modules has query, which"),
        ({"exclude_modules": r".*attention.*"}, "exclude_modules has .*attention.*, which"),
        ({"exclude_modules": r".*proj"}, "exclude_modules excludes every targeted layer"),
        ({"rank_pattern": {"q_proj": 4, "query": 8}}, "rank_pattern has query, which"),
        ({"alpha_pattern": {"q_proj": 4}, "exclude_modules": ["q_proj"]}, "alpha_pattern has q_proj, which"),
        ({"rank_pattern": {"q_proj": 4, "layers.0.self_attn.q_proj": 8}}, "rank_pattern has two entries for"),
    ],
)
def test_an_entry_that_selects_nothing_lists_the_layers(room: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        lora.with_adapter(base(room), changed(**{f"lora__{key}": value for key, value in given.items()}))
    assert message in str(caught.value)
    assert "the model's linear layers are down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in str(
        caught.value
    )
    assert "in blocks 0 to 1" in str(caught.value)


@pytest.mark.parametrize("given", [{"target_modules": "("}, {"target_modules": ".*q_proj", "layers_to_transform": 1}])
def test_options_that_peft_refuses_are_one_sentence(room: Path, given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="lora: PEFT does not take these options"):
        lora.with_adapter(base(room), changed(**{f"lora__{key}": value for key, value in given.items()}))


def test_options_select_layers_ranks_and_scales(room: Path) -> None:
    found = lora.with_adapter(base(room), changed(**options("grouped")))
    layers = {
        f"{name.split('.')[4]} {name.rpartition('.')[2]}": (one.r["default"], one.scaling["default"])
        for name, one in found.named_modules()
        if hasattr(one, "lora_A")
    }
    assert layers == {
        "1 q_proj": (4, 20 / 4**0.5),
        "1 v_proj": (16, 32 / 16**0.5),
        "1 o_proj": (16, 7.5 / 16**0.5),
        "1 gate_proj": (16, 32 / 16**0.5),
        "1 up_proj": (6, 32 / 6**0.5),
    }
    groups = [[layer.out_features for layer in group] for group in lora_groups.grouped_layers(found)]
    assert sorted(map(len, groups)) == [1, 1, 1, 1, 1]  # another rank or scale is another product
