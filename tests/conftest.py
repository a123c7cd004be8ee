"""A tiny model of random weights in the form of models/base, and a working folder with the project's params.yaml."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from copywriter import canonical, params

if not os.environ.get("COPYWRITER_TEST_GPU"):  # the same tests on the same processor, whatever the machine has
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

ROOT = Path(__file__).parent.parent
TEXTS = [
    "Neon pink ballet tutu with three layers of soft tulle, 12 inches long.",
    "A sturdy steel bucket for the garden. It holds ten litres and will not rust.",
    "Write a product description for this title. What is this product? Tell me about it.",
    "Escreva a descrição deste produto. O que é este produto? Descreva-o para uma loja.",
    "Title: the quick brown fox jumps over the lazy dog 0123456789 system user assistant",
]
CHAT = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama of random weights with a byte-level tokenizer and a chat template, pinned like models/base."""
    folder: Path = tmp_path_factory.mktemp("tiny") / "base"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|end|>", "<|turn|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>"
    )
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    llama = LlamaForCausalLM(config)
    llama.bfloat16()
    llama.save_pretrained(folder)
    canonical.write_json(folder / "pin.json", {"model": "tiny", "files": canonical.folder_hashes(folder)})
    return folder


ServerT = TypeVar("ServerT", bound=ThreadingHTTPServer)


@contextmanager
def served(server: ServerT) -> Iterator[ServerT]:
    """`server`, answering in a thread of its own."""
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def room(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder as a stage sees it: params.yaml, the tiny model in models/base, runs/ inside the folder."""
    return room_in(tmp_path, tiny_base, monkeypatch)


def room_in(folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `folder` such a working folder, and the current one."""
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(base, folder / "models" / "base")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("copywriter.paths.RUNS", folder / "runs")
    monkeypatch.setattr("copywriter.paths.SPEED", folder / "runs" / "speed.json")
    return folder


def changed(**changes: Any) -> params.Params:
    """The committed params.yaml with some keys changed; a dot is written as two underscores."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        *sections, name = key.split("__")
        place = content
        for section in sections:
            place = place[section]
        place[name] = value
    return params.check(params.Params, content, "params.yaml")
