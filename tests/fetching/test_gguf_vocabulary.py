"""The second reader of a GGUF file's vocabulary gives the ids that `tokenizers` gives for the same vocabulary."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter, TokenType
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from copywriter.fetching import gguf_metadata, gguf_vocabulary
from copywriter.tokenizer_check import TEXTS

LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)


def split(digits: str) -> Any:
    """The words of Qwen's and Llama 3's patterns, which differ in how many digits are one word."""
    words = pre_tokenizers.Split(Regex(f"{LETTERS}|{digits}|{REST}"), "isolated")
    return pre_tokenizers.Sequence([words, BYTES])


WORDS: dict[str, Any] = {
    "gpt-2": GPT2,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2]),
    "qwen2": split(r"\p{N}"),
    "llama-bpe": split(r"\p{N}{1,3}"),
}


def trained(words: Any) -> Tokenizer:
    """A byte-level BPE of 900 tokens, with one that is not in any text of its training."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = words
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet))
    return tokenizer


def write(tokenizer: Tokenizer, file: Path, pre: str, own: tuple[str, ...] = ()) -> None:
    """A GGUF file with a tokenizer's vocabulary and no tensors; `own`: tokens that are found before all else."""
    content = json.loads(tokenizer.to_str())["model"]
    vocab = [*sorted(content["vocab"], key=content["vocab"].__getitem__), *own]
    writer = GGUFWriter(file, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocab)
    writer.add_token_types([TokenType.USER_DEFINED if token in own else TokenType.NORMAL for token in vocab])
    writer.add_token_merges([" ".join(merge) for merge in content["merges"]])
    finish(writer)


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("pre", WORDS)
def test_byte_level_ids_are_those_of_tokenizers(tmp_path: Path, pre: str) -> None:
    tokenizer = trained(WORDS[pre])
    write(tokenizer, tmp_path / "a.gguf", pre)
    read = gguf_vocabulary.reader(tmp_path / "a.gguf")
    assert read
    assert [read(text) for text in TEXTS] == [tokenizer.encode(text).ids for text in TEXTS]


@pytest.mark.parametrize(("pre", "other"), [("smollm", "gpt-2"), ("qwen2", "gpt-2"), ("qwen2", "llama-bpe")])
def test_another_pattern_of_words_gives_other_ids(tmp_path: Path, pre: str, other: str) -> None:
    tokenizer = trained(WORDS[other])
    write(tokenizer, tmp_path / "a.gguf", pre)
    read = gguf_vocabulary.reader(tmp_path / "a.gguf")
    assert read
    assert [read(text) for text in TEXTS] != [tokenizer.encode(text).ids for text in TEXTS]


def test_tokens_of_the_models_own_are_found_before_words_the_longest_first(tmp_path: Path) -> None:
    write(trained(GPT2), tmp_path / "a.gguf", "gpt-2", own=("<call>", "<call></call>"))
    read = gguf_vocabulary.reader(tmp_path / "a.gguf")
    assert read
    short, long = len(json.loads(trained(GPT2).to_str())["model"]["vocab"]) + np.arange(2)
    assert read("a<call></call>b<call>") == [*read("a"), long, *read("b"), short]


def test_scored_pieces_merge_the_highest_score_first_and_fall_back_to_bytes(tmp_path: Path) -> None:
    pieces = ["\u2581", "a", "b", "c", "ab", "bc", "abc", "\u2581a", *(f"<0x{byte:02X}>" for byte in range(256))]
    scores = [-9.0, -9.0, -9.0, -9.0, -2.0, -1.0, -5.0, -4.0, *([0.0] * 256)]  # bc before ab
    writer = GGUFWriter(tmp_path / "a.gguf", "gemma3")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types([TokenType.NORMAL] * 8 + [TokenType.BYTE] * 256)
    writer.add_add_space_prefix(False)
    finish(writer)
    read = gguf_vocabulary.reader(tmp_path / "a.gguf")
    assert read
    assert [pieces[number] for number in read("abab c abc")] == ["ab", "ab", "\u2581", "c", "\u2581a", "bc"]
    assert [pieces[number] for number in read("é")] == ["<0xC3>", "<0xA9>"]


@pytest.mark.parametrize("pre", ["default", "deepseek-llm"])
def test_a_pattern_of_an_unknown_kind_is_not_guessed(tmp_path: Path, pre: str) -> None:
    write(trained(GPT2), tmp_path / "a.gguf", pre)
    assert gguf_vocabulary.reader(tmp_path / "a.gguf") is None


def test_metadata_is_that_of_the_gguf_package(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "a.gguf", "llama")
    for kind, value in {"uint8": 200, "int16": -5, "uint64": 1 << 40, "float32": 0.5, "bool": True}.items():
        getattr(writer, f"add_{kind}")(f"a.{kind}", value)
    writer.add_array("a.texts", ["", "ação", "𝓕"])
    writer.add_array("a.numbers", [1, 2, 3])
    writer.add_string("a.text", "x" * 100_000)
    finish(writer)
    fields = GGUFReader(tmp_path / "a.gguf").fields
    expected = {name: field.contents() for name, field in fields.items() if not name.startswith("GGUF.")}
    assert gguf_metadata.metadata(tmp_path / "a.gguf") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (b"GGML" + bytes(100), "begins with b'GGML'"),
        (b"GGUF\x01" + bytes(100), "version 1"),
        (b"GGUF\x03" + bytes(11) + b"\x01" + bytes(7) + b"\xff" * 8, "cut short"),
        (b"GGUF\x03" + bytes(11) + b"\x01" + bytes(15) + b"\x63" + bytes(9), "the type 99"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        gguf_metadata.metadata(tmp_path / "a.gguf")


def test_normalized_texts_are_read_as_llama_cpp_reads_them() -> None:
    nfc = normalizers.NFC()
    assert [text for text in TEXTS if nfc.normalize_str(text) != text] == []
