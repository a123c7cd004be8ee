"""The peers, with the settings that their users would choose on a card with room."""

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

from benchmarks.sides import LEARNING_RATE, LORA, MAX_LENGTH, SEED, Job, Side
from copywriter.modeling import device
from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Example, load_tokenizer

_NEVER = 10**6  # steps; the clock ends the training


def notebook(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """What tutorials show: Trainer, prepare_model_for_kbit_training, every row padded to the longest allowed."""
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
