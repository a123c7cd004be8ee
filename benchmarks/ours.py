"""This project's own trainer, put together as stages/train_qlora.py does."""

from typing import Any

from transformers import Trainer

from benchmarks.sides import LEARNING_RATE, LORA, MAX_LENGTH, MAX_PROMPT, ROOT, SEED, Job, Side
from copywriter import params
from copywriter.modeling import device, loading, lora
from copywriter.prompt import Example, load_tokenizer
from copywriter.training import launch, run_plan
from copywriter.training.experiment import sequences
from copywriter.training.trainer import QloraTrainer
from tests.support import trial

_NEVER = 10**6  # epochs or steps; the clock ends the training


def ours(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """The trainer on packed rows, by params.yaml but for what every side shares and what the side changes."""
    processor = device.choose()
    given: dict[str, Any] = {
        "seed": SEED,
        "max_length": MAX_LENGTH,
        "max_prompt_length": MAX_PROMPT,
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
        "epochs": _NEVER,
        "schedule.shape": "cosine",  # keeps no state on the way
        "save_steps": _NEVER,
        "advanced.eval_steps": _NEVER,
        "advanced.log_steps": 10,
    }
    p = trial.changed(params.load(ROOT / "params.yaml"), given | side.changes)
    train, validation = sequences(examples, p), sequences(examples[:1], p)
    plan = run_plan.as_asked(p, processor, len(train), launch.team().num_processes)
    base = loading.load_base(job.weights, p.quantization, plan.dtype, processor)
    if plan.dequantize:
        base = loading.dequantized(base)
    adapted = lora.with_adapter(base, p)
    return QloraTrainer(adapted, load_tokenizer(job.weights), p, plan, train, validation, job.folder)
