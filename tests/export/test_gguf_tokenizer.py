"""Tokenizers of each kind: llama.cpp reads from the file the same ids, bos token and spaces included."""

from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType, GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from copywriter.errors import UserError
from copywriter.export import gguf_files, gguf_tokenizer, modelfile
from copywriter.prompt import Prompter
from tests.conftest import TEXTS, changed
from tests.support.llama_cpp import LlamaCpp

UNTYPED: Any = AutoModelForCausalLM
TITLES = [
    "Girls Ballet Tutu 12345",
    "Caf\u00e9  3 x 12.5\" \u2013 \u00a39, don't STOP\u2026",
    "\u7d05\u8336 \U0001f9c1 x",
]
SPECIAL = ["<unk>", "<bos>", "<end>", "<turn>"]
CHAT = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m['role'] }}\n{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)


def split(regex: str) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), BYTES])


def byte_level(pre_tokenizer: Any, **options: Any) -> Tokenizer:
    """A tokenizer as Llama 3, Qwen2 and SmolLM2 have."""
    bpe = Tokenizer(models.BPE(**options))
    bpe.pre_tokenizer = pre_tokenizer
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        TEXTS * 2, trainers.BpeTrainer(vocab_size=450, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    return bpe


def sentence_piece(normalizer: Any, pre_tokenizer: Any) -> Tokenizer:
    """A tokenizer as Gemma and TinyLlama have: made of pieces in an order, each with all pairs that give it."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "never")  # a space only begins a piece
    trained.train_from_iterator(TEXTS * 2, trainers.BpeTrainer(vocab_size=200))
    ranks: dict[str, int] = trained.get_vocab()
    learned = sorted(ranks, key=ranks.__getitem__)
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581\u2581", *learned]
    vocab = {token: number for number, token in enumerate(tokens)}
    pairs = [
        (piece[:at], piece[at:])
        for piece in tokens[len(SPECIAL) + 256 :]
        for at in range(1, len(piece))
        if piece[:at] in vocab and piece[at:] in vocab
    ]
    bpe = Tokenizer(models.BPE(vocab, pairs, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    bpe.normalizer, bpe.pre_tokenizer = normalizer, pre_tokenizer
    bpe.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    bpe.add_special_tokens(SPECIAL)
    if isinstance(pre_tokenizer, pre_tokenizers.Split):  # Gemma's: runs of spaces are tokens of their own
        bpe.add_tokens([AddedToken("\u2581\u2581", special=False, normalized=False)])
    return bpe


GEMMA = (normalizers.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous"))
LLAMA_2 = (normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]), None)
KINDS: dict[str, Any] = {
    "smollm": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), WORDS])),
    "gpt-2": lambda: byte_level(WORDS),
    "qwen2": lambda: byte_level(split(gguf_tokenizer._CASELESS % "")),
    "llama-bpe": lambda: byte_level(split(gguf_tokenizer._CASELESS % "{1,3}"), ignore_merges=True),
    "gemma": lambda: sentence_piece(*GEMMA),
    "llama 2": lambda: sentence_piece(*LLAMA_2),
    "metaspace": lambda: sentence_piece(None, pre_tokenizers.Metaspace("\u2581", "first", split=False)),
}


def tokenizer(kind: str, adds_bos: bool, chat: str | None) -> Any:
    backend = KINDS[kind]()
    if adds_bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 1)]
        )
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, bos_token="<bos>", eos_token="<end>", unk_token="<unk>", pad_token="<end>"
    )
    made.chat_template = chat
    return made


def exported(made: Any, folder: Path) -> Path:
    """A GGUF file of a model of random weights with this tokenizer."""
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = AutoConfig.for_model("llama", vocab_size=len(made) + 3, **size)
    form = GGMLQuantizationType.F16
    file = folder / "a.gguf"
    writer = gguf_files.fields(file, form, config, made, changed())
    gguf_files.write_weights(writer, UNTYPED.from_config(config), form)
    return file


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_have_the_same_ids(kind: str, adds_bos: bool, tmp_path: Path) -> None:
    for number, chat in enumerate((CHAT, None)):
        made = tokenizer(kind, adds_bos, chat)
        (tmp_path / str(number)).mkdir()
        llama = LlamaCpp(exported(made, tmp_path / str(number)))
        p = changed(max_prompt_length=400)
        question = p.prompt.questions[0]
        prompts = Prompter(made, p).prompts(TITLES, [question] * len(TITLES))
        before, after = modelfile.frame(made, p)
        assert before.startswith("<bos>")
        sent = before.removeprefix("<bos>") if adds_bos else before  # what Ollama sends: llama.cpp adds its bos token
        assert [llama.tokens(sent + title + after) for title in TITLES] == prompts
        message = p.prompt.template.format(question=question, title=TITLES[0], facts="", neighbours="")
        messages = [{"role": "system", "content": ""}, {"role": "user", "content": message}]
        assert llama.tokens(llama.chat_prompt(messages if chat else messages[1:])) == prompts[0]


def test_tokens_beyond_the_tokenizer_are_unused(tmp_path: Path) -> None:
    made = tokenizer("gpt-2", True, CHAT)
    fields = GGUFReader(exported(made, tmp_path)).fields
    assert fields["tokenizer.ggml.tokens"].contents()[-1] == f"[PAD{len(made) + 2}]"
    assert fields["tokenizer.ggml.token_type"].contents()[-3:] == [5, 5, 5]


UNKNOWN: dict[str, tuple[Any, str]] = {
    "words": (
        lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), BYTES])),
        "splitting Whitespace",
    ),
    "ignored merges": (lambda: byte_level(WORDS, ignore_merges=True), "the splitting bytes and words"),
    "lower case": (lambda: lowered(byte_level(WORDS)), "the normalizer Lowercase"),
    "spaces": (lambda: sentence_piece(None, None), "another treatment of spaces"),
    "no merges": (lambda: Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")), "tokens that are no merges"),
}


def lowered(backend: Tokenizer) -> Tokenizer:
    backend.normalizer = normalizers.Lowercase()
    return backend


@pytest.mark.parametrize("name", UNKNOWN)
def test_tokenizers_that_llama_cpp_reads_otherwise_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = UNKNOWN[name]
    monkeypatch.setitem(KINDS, name, make)
    with pytest.raises(UserError, match=f"{message}.*copywriter.export merged"):
        exported(tokenizer(name, False, CHAT), tmp_path)
