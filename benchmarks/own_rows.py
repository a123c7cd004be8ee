"""The project's own training rows with trained weights, tokenized once for all sides of `benchmarks.train --base`.

`python -m benchmarks.own_rows JOB` writes them in its own process, with the prompts and limits of params.yaml.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks import synthetic
from benchmarks.sides import Job
from copywriter import errors, params, paths
from copywriter.errors import UserError
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import row_validation, tokenized_rows
from tests.support import trial


def write(examples: list[Example], file: Path) -> None:
    """Writes the examples to `file`, an .npz."""
    np.savez(
        file,
        ids=np.concatenate([np.array(one.input_ids, np.int32) for one in examples]),
        lengths=np.array([len(one.input_ids) for one in examples]),
        prompts=np.array([one.prompt_length for one in examples]),
    )


def read(file: Path) -> list[Example]:
    """The examples that `write` wrote; whether a text was truncated is not kept."""
    with np.load(file) as arrays:
        ids, ends = arrays["ids"].tolist(), arrays["lengths"].cumsum().tolist()
        prompts = arrays["prompts"].tolist()
    starts = [0, *ends[:-1]]
    return [Example(ids[a:b], prompt, False) for a, b, prompt in zip(starts, ends, prompts, strict=True)]


def special(weights: Path) -> tuple[int, int]:
    """The ids of the tokens that end and that pad a row, by the tokenizer stored with the weights."""
    tokenizer = load_tokenizer(weights)
    end = int(tokenizer.eos_token_id)
    return end, end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def parameters(weights: Path) -> int:
    """The number of parameters of a model, tied ones once."""
    config = AutoConfig.from_pretrained(weights, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return sum(parameter.numel() for parameter in model.parameters())


def run(job: Job) -> None:
    """Writes the first rows of data/train.parquet as tokens, and the facts for the table's caption.

    UserError without rows, or when the tokens of a batch could not be told from its padding.
    """
    # No peer can leave a sentence of a response without loss.
    p = trial.changed(params.load(), {"advanced.train_on_unsupported": True})
    file = errors.existing(paths.TRAIN, "dvc repro split")
    prompter = Prompter(load_tokenizer(job.weights), p)
    examples = tokenized_rows.examples(file, job.weights, prompter, p, p.retrieval.dropout)[: job.rows]
    row_validation.check_lengths(examples, p, file)
    lengths = np.array([len(one.input_ids) for one in examples])
    prompts = np.array([one.prompt_length for one in examples])
    flat = torch.tensor([token for one in examples for token in one.input_ids])
    if int(synthetic.count_tokens(flat, *special(job.weights))[0]) != lengths.sum():
        raise UserError(f"the rows of {file} contain end or padding tokens of {job.weights} that no word precedes")
    assert job.own_rows is not None
    write(examples, job.own_rows)
    data = (
        f"Weights of {job.shape}; the first {len(examples):,} rows of {file} with the prompts of params.yaml "
        f"(retrieval.neighbours: {p.retrieval.neighbours}), "
        f"{lengths.mean():.0f} tokens on average, {(lengths - prompts).mean():.0f} of them with loss, cut at "
        f"{p.longest_prompt} + {p.max_response_length}"
    )
    long = dataclasses.replace(job, length=p.sequence_length)
    job.result.write_text(json.dumps(synthetic.facts(long, parameters(job.weights), examples, data)))


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
