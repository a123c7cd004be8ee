"""A cache of tokenized rows under runs/tokens: a run with another learning rate does not tokenize again."""

import importlib.metadata
import os
import sys
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from copywriter import files, grounding, paths, prompt, records, sentences
from copywriter.code_hash import code_hash
from copywriter.params import Params
from copywriter.prompt import Example, Prompter
from copywriter.retrieval import neighbours
from copywriter.training import supported_loss

_CACHED = 6  # files, the last used: train and validation of three settings
_CODE = (
    __file__,
    grounding.__file__,
    neighbours.__file__,
    prompt.__file__,
    sentences.__file__,
    supported_loss.__file__,
)
_LIBRARIES = ("tokenizers", "transformers")


def examples(rows: Path, weights: Path, prompter: Prompter, params: Params, dropout: float = 0.0) -> list[Example]:
    """The training rows of a file of products, from the cache if possible.

    `weights`: folder of the tokenizer; `dropout`: the share of rows that see no neighbours.
    """
    file = paths.RUNS / "tokens" / f"{key(rows, weights, params, dropout)}.npz"
    found = _read(file)
    if found is None:
        products = records.read_products(rows)
        titles = [row.title for row in products]
        shown = neighbours.of_file(rows, titles, params, dropout)
        texts = [row.description for row in products]
        found = prompter.examples(titles, texts, shown, [row.facts for row in products])
        if not params.advanced.train_on_unsupported:
            found = supported_loss.supported_only(prompter, found, products, shown)
        try:
            _write(file, found)
        except OSError as error:  # only the next run takes longer
            print(f"tokenized rows are not cached: {error}", file=sys.stderr)
    return found


def key(rows: Path, weights: Path, params: Params, dropout: float = 0.0) -> str:
    """A hash of what determines the tokens: rows, tokenizer, questions, limits, the code and the libraries."""
    return files.digest(
        {
            "rows": files.sha256(rows),
            "tokenizer": {file.name: files.sha256(file) for file in prompt.tokenizer_files(weights)},
            "prompt": params.prompt.model_dump(),
            "limits": [params.max_length, params.max_prompt_length],
            "train_on_unsupported": params.advanced.train_on_unsupported,
            "retrieved": neighbours.identity(rows, params, dropout),
            "code": code_hash(Path(file) for file in _CODE),
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        }
    )[:16]


def _read(file: Path) -> list[Example] | None:
    try:
        with np.load(file, allow_pickle=False) as arrays:  # checks a sum over each array
            ids, lengths, prompts, cuts = (arrays[name].tolist() for name in ("ids", "lengths", "prompts", "cuts"))
            untrained: dict[int, list[tuple[int, int]]] = {}
            for row, first, end in arrays["untrained"].tolist():
                untrained.setdefault(row, []).append((first, end))
        os.utime(file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # missing or incomplete
        return None
    found, start = [], 0
    for row, (length, prompt_length, cut) in enumerate(zip(lengths, prompts, cuts, strict=True)):
        found.append(Example(ids[start : start + length], prompt_length, cut, tuple(untrained.get(row, ()))))
        start += length
    return found


def _write(file: Path, rows: list[Example]) -> None:
    spans = [(number, *span) for number, row in enumerate(rows) for span in row.untrained]
    arrays = {
        "ids": np.concatenate([np.array(row.input_ids, np.int32) for row in rows] or [np.zeros(0, np.int32)]),
        "lengths": np.array([len(row.input_ids) for row in rows], np.int64),
        "prompts": np.array([row.prompt_length for row in rows], np.int64),
        "cuts": np.array([row.cut for row in rows], np.bool_),
        "untrained": np.array(spans, np.int64).reshape(-1, 3),
    }
    with files.new_file(file) as aside, aside.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    for old in sorted(file.parent.glob("*.npz"), key=lambda one: one.stat().st_mtime, reverse=True)[_CACHED:]:
        old.unlink(missing_ok=True)
