"""NaN logits end every command in one sentence with its cure."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from copywriter import paths
from copywriter.errors import UserError
from copywriter.evaluation import likelihood
from copywriter.generation import generate
from copywriter.generation.sampling import Sampler
from copywriter.modeling import loading
from copywriter.prompt import Example, load_tokenizer
from tests.conftest import ROOT, changed
from tests.generation.test_generate import prepare

DECODING = changed().decoding
CURES = {
    torch.float32: "its weights are damaged: run 'dvc pull --force models/adapter' or 'dvc repro --force fetch_model'",
    torch.bfloat16: "set precision: fp32 in params.yaml",
}


def stream(dense: Any, tokenizer: Any) -> None:
    sampler = Sampler(DECODING, 0, dense.get_output_embeddings().weight.shape[0])
    list(generate.stream(dense, tokenizer, [1, 2, 3], DECODING, sampler))


WAYS: dict[str, Callable[[Any, Any], object]] = {
    "texts": lambda dense, tokenizer: list(generate.texts(dense, tokenizer, [[1, 2, 3], [4]], DECODING)),
    "a stream": stream,
    "likelihood": lambda dense, tokenizer: list(likelihood.nll(dense, [Example([5, 6, 7, 0], 2, False)])),
}


@pytest.mark.parametrize("dtype", CURES)
@pytest.mark.parametrize("way", WAYS)
def test_the_cure_depends_on_the_number_format(tiny_base: Path, way: str, dtype: torch.dtype) -> None:
    broken: Any = loading.load_dense(tiny_base, "none", dtype, torch.device("cpu"))
    broken.model.norm.weight.data.fill_(float("nan"))
    sentence = f"the model's logits are not numbers in {str(dtype).removeprefix('torch.')}; {CURES[dtype]}"
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}$"):
        WAYS[way](broken, load_tokenizer(tiny_base))


COMMANDS = {
    "ask": (["copywriter.ask", "--weights", "models/base", "Steel bucket"], "ask: "),
    "ask, a batch": (["copywriter.ask", "--weights", "models/base", "--file", "titles.txt"], "ask: "),
    "evaluate": (["stages.evaluate", "base"], "evaluate@base: "),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_end_with_one_sentence(room: Path, name: str) -> None:
    prepare(room)
    (room / "titles.txt").write_text("Steel bucket\nMug\n")
    weights = paths.BASE / "model.safetensors"
    tensors = load_file(weights)
    save_file(tensors | {"model.norm.weight": tensors["model.norm.weight"] * float("nan")}, weights, {"format": "pt"})
    command, begins = COMMANDS[name]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COPYWRITER_RUNS": str(room / "runs")},
        cwd=room,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{begins}the model's logits are not numbers in float32; {CURES[torch.float32]}"
    )
    assert "Traceback" not in done.stderr
    assert not paths.scores("base").exists()
