"""Makes a shape's base model and measures what the device can do at most; a process of its own."""

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from benchmarks import rows, shapes
from benchmarks.rows import END, PAD
from benchmarks.sides import SEED, Job
from copywriter.modeling import device

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")


def build(folder: Path, figures: dict[str, Any], processor: torch.device) -> int:
    """Writes random bf16 weights and a tokenizer of two special tokens to `folder`; the number of parameters."""
    config = AutoConfig.for_model(**figures, eos_token_id=END, pad_token_id=PAD, bos_token_id=None)
    torch.manual_seed(SEED)
    with processor:  # 1 B random numbers take a GPU no time, a CPU half a minute
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<|end|>": END, "<|pad|>": PAD, "word": 2}, unk_token="word"))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, eos_token="<|end|>", pad_token="<|pad|>"
    )
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def matmul_flops(processor: torch.device) -> float:
    """Floating-point operations a second of a large bf16 product (of a small float32 one on a CPU); best of three."""
    cuda = processor.type == "cuda"
    size, repeats = (8192, 50) if cuda else (512, 5)
    dtype = torch.bfloat16 if cuda else torch.float32
    left, right = (torch.randn(size, size, device=processor, dtype=dtype) for _ in range(2))
    out = torch.empty_like(left)
    best = 0.0
    for _ in range(4):  # the first run warms up
        _wait(processor)
        begin = time.perf_counter()
        for _ in range(repeats):
            torch.mm(left, right, out=out)
        _wait(processor)
        best = max(best, repeats * 2 * size**3 / (time.perf_counter() - begin))
    return best


def _wait(processor: torch.device) -> None:
    if processor.type == "cuda":
        torch.cuda.synchronize(processor)


def run(job: Job) -> None:
    """Does a job without a side."""
    processor = device.choose()
    cuda = processor.type == "cuda"
    figures = shapes.figures(job.shape, job.tiny)
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    facts = {
        "parameters": build(job.weights, figures, processor),
        "tokens": sum(len(row.input_ids) for row in rows.draw(job.rows, figures["vocab_size"], SEED)),
        "flops": matmul_flops(processor),
        "device": device.name(processor),
        "memory_gib": torch.cuda.get_device_properties(processor).total_memory / 2**30 if cuda else None,
        "versions": versions | {"python": sys.version.split()[0], "cuda": torch.version.cuda},
    }
    job.result.write_text(json.dumps(facts))


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
