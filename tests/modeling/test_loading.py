"""Weights with an adapter: merged as PEFT merges them, or refused when the file is damaged."""

from pathlib import Path

import pytest
import torch

from copywriter import paths
from copywriter.errors import UserError
from copywriter.modeling import loading
from stages import train_qlora
from tests.generation.test_generate import prepare

CPU = torch.device("cpu")


def test_an_adapter_is_merged_as_peft_merges_it(room: Path) -> None:
    from peft import PeftModel

    train_qlora.run(prepare(room, epochs=2, learning_rate=0.01))
    ours = loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU).state_dict()
    base = loading.dequantized(loading.load_base(paths.BASE, "4bit", torch.float32, CPU))
    theirs = PeftModel.from_pretrained(base, str(paths.ADAPTER)).merge_and_unload().state_dict()
    plain = loading.load_dense(paths.BASE, "4bit", torch.float32, CPU).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(not torch.equal(ours[name], plain[name]) for name in ours)


def test_a_damaged_adapter_is_refused_with_the_cure(room: Path) -> None:
    train_qlora.run(prepare(room, epochs=0))
    file = paths.ADAPTER / loading.WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"is damaged.*dvc pull --force models/adapter"):
        loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU)
