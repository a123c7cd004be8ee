"""Scores of an adapter's exports on a slice of the test titles: `python -m benchmarks.exports merged/ gguf/`.

The adapter's texts are those of data/predictions_tuned.jsonl; the merged folder writes with this project's generation,
the GGUF files with llama.cpp. llama.cpp's penalty counts the prompt's tokens too. It cannot forbid repeated n-grams:
its DRY sampler, with a penalty that no logit outweighs, forbids them, and those of the prompt with them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType
from tqdm import tqdm

from copywriter import params, paths, records
from copywriter.errors import progress
from copywriter.evaluation import measure, ngrams, predict, predictions, scores, significance
from copywriter.evaluation.metrics import memorisation
from copywriter.evaluation.predictions import Prediction
from copywriter.export import gguf_files
from copywriter.generation.inference import trained_params
from copywriter.modeling import loading
from copywriter.params import Params
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product
from tests.support.llama_cpp import LlamaCpp

KEYS = ("bleu", "rougeL", "chrf", "nll", "length_ratio", "repeated_4grams", "stopped")
_WINDOW = 2048  # tokens that the penalties look back on: all of them


def settings(p: Params) -> dict[str, dict[str, Any]]:
    """llama.cpp's settings by name: the decoding of params.yaml, as far as it has it, and parts of that."""
    penalty = {"repeat_penalty": p.decoding.repetition_penalty, "repeat_last_n": _WINDOW}
    ban = {
        "dry_multiplier": 1000.0,
        "dry_base": 1.0,
        "dry_allowed_length": p.decoding.no_repeat_ngram_size - 1,
        "dry_penalty_last_n": _WINDOW,
        "dry_sequence_breakers": ["\x01"],  # at least one is required; no text has this
    }
    return {"greedy": {}, "DRY": ban, "penalty": penalty, "penalty and DRY": penalty | ban}


def by_llama_cpp(file: Path, rows: list[Product], p: Params) -> Iterator[tuple[str, list[Prediction]]]:
    """What a GGUF file writes with each of the settings; likelihoods are computed once."""
    prompter = Prompter(load_tokenizer(paths.ADAPTER), p)
    examples = prompter.examples([row.title for row in rows], [row.description for row in rows])
    model = LlamaCpp(file)
    nll = [model.nll(one.input_ids, one.prompt_length) for one in tqdm(examples, **progress("references"))]
    for name, some in settings(p).items():
        found = []
        for row, example, nats in zip(tqdm(rows, **progress("texts")), examples, nll, strict=True):
            prompt = example.input_ids[: example.prompt_length]
            text, tokens, stopped = model.complete(prompt, p.decoding.max_new_tokens, **some)
            count = len(example.input_ids) - example.prompt_length
            question = prompter.question(row.title)
            found.append(
                Prediction(row.title, question, row.description, text.strip(), stopped, len(tokens), nats, count)
            )
        yield name, found


def sides(merged: Path, ggufs: Path, titles: int, p: Params) -> Iterator[tuple[str, list[Prediction]]]:
    """Each side's name and its texts for the first test titles."""
    yield "adapter", predictions.read(paths.predictions("tuned"))[:titles]
    rows = records.read_products(paths.TEST)[:titles]
    yield "merged", predict.predict(merged, rows, p)
    base = loading.base_identity(paths.BASE)["model"]
    for form in (GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0):
        for name, found in by_llama_cpp(ggufs / gguf_files.name(base, form), rows, p):
            yield f"{form.name}, {name}", found


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("merged", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--titles", type=int, default=80)
    options = parser.parse_args()
    p = trained_params(paths.ADAPTER, params.load())
    known = ngrams.index([row.description for row in records.iterate_products(paths.TRAIN)], memorisation.WORDS)
    print(f"| {options.titles} test titles | equal texts | " + " | ".join(scores.NAMES[key] for key in KEYS) + " |")
    print("| --- " * (len(KEYS) + 2) + "|")
    first: list[Prediction] = []
    for name, found in sides(options.merged, options.gguf, options.titles, p):
        first = first or found
        equal = sum(one.written == other.written for one, other in zip(found, first, strict=True))
        statistics, _ = measure.measure(found, known, processes=1)
        result = scores.rounded(statistics.sum(0))
        print(f"| {name} | {equal} | " + " | ".join(str(result[key]) for key in KEYS) + " |", flush=True)
        if found is first:
            intervals = significance.intervals(statistics, seed=0, resamples=2000)
            shown = " | ".join(f"{intervals[key][0]:.4g} to {intervals[key][1]:.4g}" for key in KEYS)
            print(f"| its 95% intervals | | {shown} |", flush=True)


if __name__ == "__main__":
    main()
