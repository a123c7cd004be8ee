"""base and tuned: what each writes for titles, how likely it finds their descriptions, and all that decides both."""

import dataclasses
import functools
import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from copywriter import files, paths, prompt
from copywriter.code_hash import code_hash
from copywriter.evaluation import likelihood
from copywriter.evaluation.predictions import Prediction
from copywriter.generation import decode_batch, generate, generation_cache, kv_cache, sampling
from copywriter.modeling import compilation, cuda_graph, device, loading, nf4_values
from copywriter.params import Params
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product

WEIGHTS = {"base": paths.BASE, "tuned": paths.ADAPTER}
WRITING = (  # the code that decides a text
    nf4_values,
    loading,
    generate,
    kv_cache,
    sampling,
    decode_batch,
    compilation,
    cuda_graph,
)
LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "peft")


def predict(variant: str, rows: Sequence[Product], p: Params) -> list[Prediction]:
    """What `variant` writes for the rows' titles, asked as in training, and how likely it finds their descriptions."""
    weights = WEIGHTS[variant]
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    tokenizer = load_tokenizer(weights)
    prompter = Prompter(tokenizer, p)
    titles = [row.title for row in rows]
    prompts = prompter.prompts(titles)
    examples = prompter.examples(titles, [row.description for row in rows])
    compiled = p.compile is not False and compilation.obstacle(processor) is None
    dense = functools.cache(lambda: loading.load_dense(weights, p.quantization, dtype, processor))

    def texts(missing: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        some = [prompts[row] for row in missing]
        for at, one in generate.texts(dense(), tokenizer, some, p.decoding, p.max_prompt_length, compiled):
            yield missing[at], dataclasses.asdict(one)

    def nll(missing: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for row, nats in likelihood.nll(dense(), examples, missing):
            yield row, {"nll": nats}

    ran_on = [str(dtype), device.name(processor)]
    both = identity(weights) | {"quantization": p.quantization, "on": ran_on}
    writing = {"decoding": p.decoding.model_dump(), "width": p.max_prompt_length, "compiled": compiled}
    of_texts = {"prompts": prompts, "code": _code(WRITING), **writing}
    of_nll = {
        "rows": [[row.input_ids, row.prompt_length] for row in examples],
        "code": _code([likelihood, loading, nf4_values]),
    }
    written = generation_cache.rows("predictions", both | of_texts, len(rows), texts)
    found = generation_cache.rows("likelihoods", both | of_nll, len(rows), nll)
    return [
        Prediction(
            row.title,
            prompter.question(row.title),
            row.description,
            one["text"],
            one["stopped"],
            one["tokens"],
            likely["nll"],
            len(example.input_ids) - example.prompt_length,
        )
        for row, example, one, likely in zip(rows, examples, written, found, strict=True)
    ]


def identity(weights: Path) -> dict[str, Any]:
    """All that tells these weights, their tokenizer and the libraries that compute with them from others."""
    needed = [*prompt.tokenizer_files(weights)]
    if weights == paths.ADAPTER:
        needed += [weights / "adapter_config.json", *sorted(weights.glob("*.safetensors"))]
    return {
        "base": loading.base_identity(paths.BASE)["sha256"],
        "files": {file.name: files.sha256(file) for file in needed},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def computed(p: Params) -> str:
    """With which values and in which number format, in words."""
    dtype = str(device.dtype(p.precision, device.choose())).removeprefix("torch.")
    values = f"the values of the {p.quantization} weights" if p.quantization != "none" else "the weights as published"
    return f"{values}, an adapter merged in float32, computed in {dtype}"


def _code(modules: Sequence[ModuleType]) -> str:
    return code_hash(Path(str(module.__file__)) for module in modules)
