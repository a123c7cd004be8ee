"""This project's trainer for the benchmarks, with settings that users choose on a large card."""

from typing import Any

from transformers import Trainer

from benchmarks.peers import NEVER
from benchmarks.sides import LEARNING_RATE, LORA, MAX_LENGTH, MAX_PROMPT, ROOT, SEED, Job, Side
from copywriter import params, paths
from copywriter.modeling import device, loading, lora
from copywriter.prompt import Example, load_tokenizer
from copywriter.training import launch, run_plan
from copywriter.training.experiment import sequences
from copywriter.training.trainer import QloraTrainer
from tests.support import trial

# Drawn rows show no neighbours, and the sequences are as long as those of the peers.
_DRAWN = {"max_length": MAX_LENGTH, "max_prompt_length": MAX_PROMPT, "retrieval.neighbours": 0}


def ours(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """This project's trainer on packed rows: params.yaml with the settings that all sides share and the side's own.

    Rows of data/train.parquet are as long as params.yaml of the working folder says.
    """
    processor = device.choose()
    limits = {} if job.own_rows else _DRAWN
    given: dict[str, Any] = {
        **limits,
        "seed": SEED,
        "batch_size": job.micro,
        "micro_batch_size": job.micro,
        "learning_rate": LEARNING_RATE,
        "quantization": side.quantization,
        **{f"lora.{key}": value for key, value in LORA.items()},
        "lora.dropout": side.dropout,
        "lora.target_modules": "all-linear",
        "packing": True,
        "advanced.compile": True,
        "advanced.gradient_checkpointing": False,
        "epochs": NEVER,
        "schedule.shape": "cosine",  # saves no checkpoint during the run
        "save_steps": NEVER,
        "advanced.eval_steps": NEVER,
        "advanced.log_steps": 10,
    }
    p = trial.changed(params.load(paths.PARAMS if job.own_rows else ROOT / paths.PARAMS), given | side.changes)
    train, validation = sequences(examples, p), sequences(examples[:1], p)
    plan = run_plan.as_asked(p, processor, len(train), launch.team().num_processes)
    base = loading.load_base(job.weights, p.quantization, plan.dtype, processor)
    if plan.dequantize:
        base = loading.dequantized(base)
    adapted = lora.with_adapter(base, p)
    return QloraTrainer(adapted, load_tokenizer(job.weights), p, plan, train, validation, job.folder)
