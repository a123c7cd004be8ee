"""base and tuned: what each writes for titles, how likely it finds their descriptions, and all that decides both."""

import dataclasses
import functools
import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from copywriter import canonical, compilation, device, graph, model, nf4, paths, prompt
from copywriter.evaluation import cached, choice, generate, kept, likelihood, slots
from copywriter.evaluation.predictions import Prediction
from copywriter.params import Params
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product

WEIGHTS = {"base": paths.BASE, "tuned": paths.ADAPTER}
WRITING = (nf4, model, generate, cached, choice, slots, compilation, graph)  # the code that decides a text
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
    dense = functools.cache(lambda: model.load_dense(weights, p.quantization, dtype, processor))

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
    of_nll = {"rows": [[row.input_ids, row.prompt_length] for row in examples], "code": _code([likelihood, model, nf4])}
    written = kept.rows("predictions", both | of_texts, len(rows), texts)
    found = kept.rows("likelihoods", both | of_nll, len(rows), nll)
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
    files = [*prompt.tokenizer_files(weights)]
    if weights == paths.ADAPTER:
        files += [weights / "adapter_config.json", *sorted(weights.glob("*.safetensors"))]
    return {
        "base": model.base_identity(paths.BASE)["sha256"],
        "files": {file.name: canonical.sha256(file) for file in files},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def computed(p: Params) -> str:
    """With which values and in which number format, in words."""
    dtype = str(device.dtype(p.precision, device.choose())).removeprefix("torch.")
    values = f"the values of the {p.quantization} weights" if p.quantization != "none" else "the weights as published"
    return f"{values}, an adapter merged in float32, computed in {dtype}"


def _code(modules: Sequence[ModuleType]) -> list[str]:
    return [canonical.sha256(Path(str(module.__file__))) for module in modules]
