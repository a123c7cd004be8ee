"""A tokenizer other than the published one is caught before it is stored."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Regex, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from copywriter import files
from copywriter.errors import UserError
from copywriter.fetching import published_weights
from stages import fetch_model
from tests.stages.fetch_model.conftest import BASE, folder_entry, gguf_entry, stored, write_gguf


def wrong(tokenizer: PreTrainedTokenizerFast, pattern: str) -> PreTrainedTokenizerFast:
    """The tokenizer with another pattern of words before its merges: every text still comes back unchanged."""
    words = pre_tokenizers.Split(Regex(pattern), "isolated")
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_only])
    return tokenizer


@pytest.mark.parametrize("pattern", [r"\S+|\s+", r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|[^\p{L}\p{N}]+", "."])
def test_a_tokenizer_with_another_pattern_is_not_stored(
    published: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    write_gguf(published, Path("tiny.gguf"), "qwen2")
    entry = gguf_entry(path="tiny.gguf", sha256=files.sha256(Path("tiny.gguf")))
    read = published_weights.read_gguf
    fetch_model.fetch_model("tiny", entry, Path("right"))
    monkeypatch.setattr(published_weights, "read_gguf", lambda file: (read(file)[0], wrong(read(file)[1], pattern)))
    message = (
        r"the tokenizer of tiny, read by transformers [\d.]+, is not the published one: .* is \d+ tokens .* but \d+"
    )
    with pytest.raises(UserError, match=message) as caught:
        fetch_model.fetch_model("tiny", entry, Path("wrong"))
    assert "by the vocabulary in its GGUF file; install the version in requirements.txt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("wrong").exists()


def test_a_tokenizer_that_changes_texts_is_not_stored(published: Path) -> None:
    shutil.copytree(published, "lower")
    content = json.loads(Path("lower/tokenizer.json").read_text())
    content["normalizer"] = {"type": "Lowercase"}
    Path("lower/tokenizer.json").write_text(json.dumps(content))
    entry = folder_entry(Path("lower"))
    with pytest.raises(UserError, match=r"the tokenizer of lower, .* makes 'stainless .* of 'Stainless"):
        fetch_model.fetch_model("lower", entry, Path("stored"))


@pytest.mark.parametrize(("pre", "compared"), [("qwen2", "the vocabulary in its GGUF file"), ("default", None)])
def test_the_pin_says_what_the_ids_were_compared_with(
    published: Path, capsys: pytest.CaptureFixture[str], pre: str, compared: str | None
) -> None:
    write_gguf(published, Path("tiny.gguf"), pre)
    fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf", sha256=files.sha256(Path("tiny.gguf"))), BASE)
    assert stored("pin")["tokenizer"]["compared_with"] == compared
    said = "the token ids of tiny were not compared with published ones" in capsys.readouterr().err
    assert said is (compared is None)


def test_qwens_tokenizer_normalizes_as_published(published: Path) -> None:
    write_gguf(published, Path("tiny.gguf"), "qwen2")
    fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf", sha256=files.sha256(Path("tiny.gguf"))), BASE)
    read = AutoTokenizer.from_pretrained(BASE)
    assert read("Cafe\u0301")["input_ids"] == read("Caf\u00e9")["input_ids"]
    assert stored("tokenizer")["normalizer"] == {"type": "NFC"}
