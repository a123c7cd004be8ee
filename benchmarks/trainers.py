"""The trainers of all sides: this project's and its peers', with settings that users choose on a large card."""

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from benchmarks.sides import LEARNING_RATE, LORA, MAX_LENGTH, MAX_PROMPT, ROOT, SEED, Job, Side
from copywriter import params
from copywriter.modeling import device, loading, lora
from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Example, load_tokenizer
from copywriter.training import launch, run_plan
from copywriter.training.experiment import sequences
from copywriter.training.trainer import QloraTrainer
from tests.support import trial

_NEVER = 10**6  # epochs or steps: the clock ends the training


def ours(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """This project's trainer on packed rows: params.yaml with the settings that all sides share and the side's own."""
    processor = device.choose()
    given: dict[str, Any] = {
        "seed": SEED,
        "max_length": MAX_LENGTH,
        "max_prompt_length": MAX_PROMPT,
        "retrieval.neighbours": 0,  # the drawn rows show none, and the sequences are as long as those of the peers
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
        "schedule.shape": "cosine",  # saves no checkpoint during the run
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


def notebook(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """The trainer of tutorials: prepare_model_for_kbit_training, every row padded to the maximum length."""
    tokenizer = load_tokenizer(job.weights)
    prepared = prepare_model_for_kbit_training(_base(side, job))  # type: ignore[no-untyped-call]
    return Trainer(
        model=get_peft_model(prepared, _lora(side)),
        args=TrainingArguments(**_arguments(job), gradient_checkpointing=True),
        train_dataset=_tokenized(examples),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding="max_length", max_length=MAX_LENGTH),
        processing_class=tokenizer,
    )


def trl(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """TRL's SFTTrainer with packing on tokenized rows; its default of gradient checkpointing is off, for speed."""
    training: Trainer = SFTTrainer(
        model=_base(side, job),
        args=SFTConfig(**_arguments(job), max_length=MAX_LENGTH, packing=True, gradient_checkpointing=False),
        train_dataset=_tokenized(examples),
        processing_class=load_tokenizer(job.weights),
        peft_config=_lora(side),
    )
    return training


def _base(side: Side, job: Job) -> PreTrainedModel:
    """The base as both peers' users load it."""
    dtype = device.dtype("auto", device.choose())
    configs: dict[str, dict[str, Any]] = {
        "4bit": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        },
        "8bit": {"load_in_8bit": True},
    }
    quantized = configs.get(side.quantization)
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        job.weights,
        dtype=dtype,
        quantization_config=BitsAndBytesConfig(**quantized) if quantized else None,  # type: ignore[no-untyped-call]
        device_map={"": device.choose()},
        attn_implementation=side.attention,
    )
    loaded.config.use_cache = False
    return loaded


def _lora(side: Side) -> LoraConfig:
    return LoraConfig(
        r=LORA["r"],
        lora_alpha=LORA["alpha"],
        lora_dropout=side.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(job: Job) -> dict[str, Any]:
    """The peers' training arguments; AdamW is the fused one and no metric but the loss is logged."""
    return {
        "output_dir": str(job.folder),
        "seed": SEED,
        "max_steps": _NEVER,
        "per_device_train_batch_size": job.micro,
        "learning_rate": LEARNING_RATE,
        "bf16": device.dtype("auto", device.choose()) is torch.bfloat16,
        "optim": "adamw_torch_fused",
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _tokenized(examples: list[Example]) -> Dataset:
    labels = [[IGNORED] * one.prompt_length + one.input_ids[one.prompt_length :] for one in examples]
    return Dataset.from_dict({"input_ids": [one.input_ids for one in examples], "labels": labels})
