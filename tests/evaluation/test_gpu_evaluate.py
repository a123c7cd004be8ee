"""Likelihoods and cached texts on a CUDA device; run there with `COPYWRITER_TEST_GPU=1 pytest -m gpu`."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from copywriter import paths
from copywriter.evaluation import likelihood
from copywriter.modeling import device, loading
from stages import evaluate, train_qlora
from tests.generation.test_generate import prepare
from tests.stages.test_evaluate import ROWS, alone, outputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not os.environ.get("COPYWRITER_TEST_GPU"), reason="needs a CUDA device"),
]


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1e-3), (torch.bfloat16, 0.02)])
def test_likelihoods_are_those_of_the_cpu(tiny_base: Path, dtype: torch.dtype, share: float) -> None:
    plain = loading.load_dense(tiny_base, "none", torch.float32, torch.device("cpu"))
    dense = loading.load_dense(tiny_base, "none", dtype, device.choose())
    found = dict(likelihood.nll(dense, ROWS * 50))
    assert found == dict(likelihood.nll(dense, ROWS * 50))
    for number, row in enumerate(ROWS * 50):
        assert found[number] == pytest.approx(alone(plain, row), rel=share)


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
def test_untrained_adapter_scores_as_base_and_rescoring_loads_no_model(
    room: Path, quantization: str, monkeypatch: Any
) -> None:
    p = prepare(room, epochs=0, quantization=quantization)
    train_qlora.run(p)
    for variant in ("base", "tuned"):
        evaluate.run(variant, p)
    assert outputs("base") == outputs("tuned")
    monkeypatch.setattr(loading, "load_dense", lambda *_: pytest.fail("the model was loaded"))
    evaluate.run("base", p)
    assert outputs("base") == outputs("tuned")


def test_a_killed_evaluation_resumes_to_the_same_bytes(room: Path) -> None:
    p = prepare(room, decoding__batch_size=4)
    evaluate.run("base", p)
    whole = outputs("base")
    (file,) = (paths.RUNS / "predictions").iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    for there in (1, 4, 7, 11):  # of twelve rows; an empty line begins the file
        file.write_bytes(b"".join(lines[: 1 + there]) + b'{"row": 3, "te')
        evaluate.run("base", p)
        assert outputs("base") == whole
