"""Predictions of base and tuned: generated texts, likelihoods of the references, and the keys that cache both."""

import dataclasses
import functools
import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from copywriter import files, paths, prompt, records
from copywriter.code_hash import code_hash
from copywriter.evaluation import likelihood
from copywriter.evaluation.predictions import Prediction, Source
from copywriter.generation import constrained_numbers, decode_batch, generate, generation_cache, kv_cache, sampling
from copywriter.generation.candidates import Candidates
from copywriter.modeling import compilation, cuda_graph, device, loading, lora_merge, nf4_values
from copywriter.params import Params
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.records import Product
from copywriter.retrieval import neighbours

WRITING = (  # the code that decides a text
    nf4_values,
    loading,
    lora_merge,
    generate,
    kv_cache,
    sampling,
    constrained_numbers,
    decode_batch,
    compilation,
    cuda_graph,
)
LIBRARIES = ("torch", "transformers", "tokenizers", "bitsandbytes", "peft")


def predict(weights: Path, rows: Sequence[Product], p: Params) -> list[Prediction]:
    """Texts that `weights` generate for the test rows' titles, prompted as in training, and the references' NLL.

    `weights`: the folder of a base, an adapter or a merged model.
    """
    processor = device.choose()
    device.set_deterministic(p.advanced.deterministic)
    dtype = device.dtype(p.precision, processor)
    tokenizer = load_tokenizer(weights)
    prompter = Prompter(tokenizer, p)
    train = dict(enumerate(records.read_products(paths.TRAIN))) if p.retrieval.neighbours else {}
    found = neighbours.read(paths.TEST, len(rows)) if p.retrieval.neighbours else [[] for _ in rows]
    pool = Candidates(prompter, p, rows, found, train, None)
    first = [pool.prompts[start] for start in pool.starts[:-1]]
    examples = [
        Example(prompt + completion, len(prompt), cut)
        for prompt, (completion, cut) in zip(
            first, prompter.completions([row.description for row in rows]), strict=True
        )
    ]
    compiled = p.advanced.compile is not False and compilation.obstacle(processor) is None
    dense = functools.cache(lambda: loading.load_dense(weights, p.quantization, dtype, processor))

    def texts(missing: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        some = [pool.prompts[at] for at in missing]
        written = generate.texts(
            dense(),
            tokenizer,
            some,
            p.decoding,
            p.longest_prompt,
            compiled,
            constrain_numbers=p.advanced.constrain_numbers,
        )
        for at, one in written:
            yield missing[at], dataclasses.asdict(one)

    def nll(missing: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for row, nats in likelihood.nll(dense(), examples, missing):
            yield row, {"nll": nats}

    ran_on = [str(dtype), device.name(processor)]
    key = identity(weights) | {"quantization": p.quantization, "on": ran_on}
    writing = {"decoding": p.writing, "width": p.longest_prompt, "compiled": compiled}
    of_texts = {"prompts": pool.prompts, "code": _code(WRITING), **writing}
    of_nll = {
        "rows": [[row.input_ids, row.prompt_length] for row in examples],
        "code": _code([likelihood, loading, lora_merge, nf4_values]),
    }
    generated = generation_cache.cached_rows("predictions", key | of_texts, len(pool.prompts), texts)
    likelihoods = generation_cache.cached_rows("likelihoods", key | of_nll, len(rows), nll)
    answers = [generate.Generated(**one) for one in generated]
    chosen = [pool.chosen(number, answers) for number in range(len(rows))]
    return [
        Prediction(
            row.title,
            prompter.question(row.title),
            row.description,
            one.text.text,
            one.text.stopped,
            one.text.tokens,
            likelihood_of["nll"],
            len(example.input_ids) - example.prompt_length,
            tuple(Source(*shown) for shown in one.shown),
            row.facts,
        )
        for row, example, one, likelihood_of in zip(rows, examples, chosen, likelihoods, strict=True)
    ]


def identity(weights: Path) -> dict[str, Any]:
    """Hashes of the weights and their tokenizer, and the versions of the libraries that compute with them.

    An untrained adapter, that of `epochs: 0`, writes its base's texts and has its base's identity.
    """
    needed = [*prompt.tokenizer_files(weights)]
    if weights == paths.ADAPTER and not lora_merge.is_untrained(loading.tensors(weights)):
        needed += [weights / "adapter_config.json", *sorted(weights.glob("*.safetensors"))]
    return {
        "base": loading.base_identity(paths.BASE)["sha256"],
        "files": {file.name: files.sha256(file) for file in needed},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def precision(p: Params) -> str:
    """The weights' values and number format as a sentence, for metrics/*.json."""
    dtype = str(device.dtype(p.precision, device.choose())).removeprefix("torch.")
    values = f"the values of the {p.quantization} weights" if p.quantization != "none" else "the weights as published"
    return f"{values}, an adapter merged in float32, computed in {dtype}"


def _code(modules: Sequence[ModuleType]) -> str:
    return code_hash(Path(str(module.__file__)) for module in modules)
