"""A tiny model of random weights in the form of models/base, rows to train it on, and a working folder around both."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from copywriter import files, paths, records, tokenizer_check
from copywriter.retrieval import neighbours
from copywriter.retrieval.neighbours import Neighbours
from tests.support.process import ROOT as ROOT

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


def base(folder: Path) -> Path:
    """Writes a two-layer Llama with a byte-level tokenizer and a chat template, pinned like models/base."""
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
    checked = tokenizer_check.check("tiny", folder, None, None)
    files.write_json(folder / "pin.json", {"model": "tiny", "files": files.folder_hashes(folder), "tokenizer": checked})
    return folder


def products(count: int, start: int = 0) -> list[records.Product]:
    """Products with descriptions of different lengths."""
    return [
        records.Product(f"Bucket {n}", f"A bucket of {n % 7} litres" + " for the garden" * (n % 4) + ".")
        for n in range(start, start + count)
    ]


# The folder has no neighbours, and rows with nothing but sentences that state numbers.
_HERE = {"retrieval.neighbours": 0, "advanced.train_on_unsupported": True}


def room(folder: Path, weights: Path, changes: Mapping[str, Any], rows: int, validation: int = 10) -> Path:
    """Makes `folder` a working folder of the training stage; `changes` to params.yaml, a dot for a section's key."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in {**_HERE, **changes}.items():
        *sections, name = key.split(".")
        place = content
        for section in sections:
            place = place[section]
        if name not in place:
            raise ValueError(f"params.yaml has no {key}")
        place[name] = value
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    shutil.copytree(weights, folder / paths.BASE)
    records.write_products(folder / paths.TRAIN, products(rows))
    records.write_products(folder / paths.VALIDATION, products(validation, rows))
    for split, count in ((paths.TRAIN, rows), (paths.VALIDATION, validation)):
        none = Neighbours(np.zeros((count, 0), np.int64), np.zeros((count, 0)))
        neighbours.write(folder / neighbours.file(split), none)
    return folder
