"""Random rows and random weights that every side gets, and the device's peak speed.

`python -m benchmarks.synthetic JOB` makes the weights of a shape in its own process.
"""

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from benchmarks.sides import MAX_LENGTH, MAX_PROMPT, SEED, Job
from copywriter.modeling import device
from copywriter.prompt import Example
from tests.support import shapes

END, PAD, FIRST_WORD = 0, 1, 2  # a row is words, then one END; a side may pad with END or PAD


def draw(count: int, vocabulary: int, seed: int) -> list[Example]:
    """`count` rows of about 32 prompt and 110 response tokens (log-normal), cut at MAX_PROMPT + the rest."""
    random = np.random.default_rng(seed)
    prompts = _lengths(random, count, median=30.1, spread=0.35, least=8, most=MAX_PROMPT)
    responses = _lengths(random, count, median=82.0, spread=0.8, least=2, most=MAX_LENGTH - MAX_PROMPT)
    return [
        Example([*random.integers(FIRST_WORD, vocabulary, prompt + response - 1).tolist(), END], prompt, False)
        for prompt, response in zip(prompts.tolist(), responses.tolist(), strict=True)
    ]


def count_tokens(input_ids: torch.Tensor, end: int = END, pad: int = PAD) -> torch.Tensor:
    """(real tokens, all tokens) of a batch in any layout, on its device: words, and each `end` that follows a word.

    Words are all tokens but `end` and `pad`, either of which a side may pad with.
    """
    ids = input_ids.flatten()
    words = (ids != end) & (ids != pad)
    ends = (ids[1:] == end) & words[:-1]
    return torch.stack([words.sum() + ends.sum(), torch.full_like(words.sum(), ids.numel())])


def _lengths(
    random: np.random.Generator, count: int, median: float, spread: float, least: int, most: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    drawn = np.rint(random.lognormal(np.log(median), spread, count)).astype(np.int64)
    return np.clip(drawn, least, most)


_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets")


def build(folder: Path, figures: dict[str, Any], processor: torch.device) -> int:
    """Writes random bf16 weights and a tokenizer of two special tokens to `folder`; the number of parameters."""
    config = AutoConfig.for_model(**figures, eos_token_id=END, pad_token_id=PAD, bos_token_id=None)
    torch.manual_seed(SEED)
    with processor:  # drawing 1 B random numbers takes half a minute on a CPU
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


def versions(*more: str) -> dict[str, str]:
    """The versions of the libraries that train, and of `more` packages."""
    return {name: importlib.metadata.version(name) for name in (*_LIBRARIES, *filter(None, more))}


def facts(job: Job, parameters: int, examples: list[Example], data: str) -> dict[str, Any]:
    """What a preparation tells of rows, weights and device; `data`: weights and rows in words, for the caption."""
    processor = device.choose()
    cuda = processor.type == "cuda"
    return {
        "parameters": parameters,
        "rows": len(examples),
        "tokens": sum(len(row.input_ids) for row in examples),
        "length": job.length,
        "data": data,
        "flops": matmul_flops(processor),
        "device": device.name(processor),
        "memory_gib": torch.cuda.get_device_properties(processor).total_memory / 2**30 if cuda else None,
        "versions": versions() | {"python": sys.version.split()[0], "cuda": torch.version.cuda},
    }


def run(job: Job) -> None:
    """Writes the weights of the job's shape and the facts for the table's caption."""
    figures = shapes.figures(job.shape, job.tiny)
    parameters = build(job.weights, figures, device.choose())
    examples = draw(job.rows, figures["vocab_size"], SEED)
    mean = sum(len(row.input_ids) for row in examples) / len(examples)
    data = (
        f"Random weights; {len(examples):,} rows of {mean:.0f} tokens on average, cut at "
        f"{MAX_PROMPT} + {MAX_LENGTH - MAX_PROMPT}"
    )
    job.result.write_text(json.dumps(facts(job, parameters, examples, data)))


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
