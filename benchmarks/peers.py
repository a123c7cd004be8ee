"""The peers' trainers: the notebook recipe, TRL and Unsloth, with settings that users choose on a large card."""

import importlib
from typing import Any

import torch
from bitsandbytes.nn.modules import Linear4bit
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

from benchmarks.sides import LEARNING_RATE, LORA, SEED, Job, Side
from copywriter.modeling import device
from copywriter.modeling.loss import IGNORED
from copywriter.prompt import Example, load_tokenizer

NEVER = 10**6  # epochs or steps: the clock ends the training
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # PEFT's all-linear, by name


def notebook(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """The trainer of tutorials: prepare_model_for_kbit_training, every row padded to the maximum length."""
    tokenizer = load_tokenizer(job.weights)
    prepared = prepare_model_for_kbit_training(_base(side, job))  # type: ignore[no-untyped-call]
    return Trainer(
        model=get_peft_model(prepared, _lora(side)),
        args=TrainingArguments(**_arguments(job), gradient_checkpointing=True),
        train_dataset=_tokenized(examples),
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding="max_length", max_length=job.length),
        processing_class=tokenizer,
    )


def trl(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """TRL's SFTTrainer with packing on tokenized rows; its default of gradient checkpointing is off, for speed."""
    training: Trainer = SFTTrainer(
        model=_base(side, job),
        args=SFTConfig(**_packed(job), use_liger_kernel=side.package == "liger_kernel"),
        train_dataset=_tokenized(examples),
        processing_class=load_tokenizer(job.weights),
        peft_config=_lora(side),
    )
    return training


def unsloth(side: Side, job: Job, examples: list[Example]) -> Trainer:
    """Unsloth's model and its version of TRL's SFTTrainer, as its notebooks have them, on tokenized rows.

    `unsloth` must have been imported before this module (benchmarks/unsloth_worker.py). Its default of gradient
    checkpointing is off, for speed, as on the other sides; the optimizer is its own default. RuntimeError when it
    loaded the base without 4 bits, which it does with a message alone where it finds no usable bitsandbytes.
    """
    fast = importlib.import_module("unsloth").FastLanguageModel
    base, tokenizer = fast.from_pretrained(
        model_name=str(job.weights),
        max_seq_length=job.length,
        dtype=device.dtype("auto", device.choose()),
        load_in_4bit=True,
        use_gradient_checkpointing=False,
        use_exact_model_name=True,  # asks no server for a quantized copy
        local_files_only=True,
    )
    if not any(isinstance(layer, Linear4bit) for layer in base.modules()):
        raise RuntimeError("Unsloth loaded the base without 4 bits; its log says why")
    adapted = fast.get_peft_model(
        base,
        r=LORA["r"],
        lora_alpha=LORA["alpha"],
        lora_dropout=side.dropout,
        target_modules=list(_LINEAR),
        bias="none",
        use_gradient_checkpointing=False,
        random_state=SEED,
    )
    arguments = _packed(job)
    del arguments["optim"]
    changed = importlib.import_module("trl")
    training: Trainer = changed.SFTTrainer(
        model=adapted,
        args=changed.SFTConfig(**arguments),
        train_dataset=_tokenized(examples),
        processing_class=tokenizer,
    )
    return training


def unsloth_attention() -> str:
    """What computes attention in Unsloth's process; which one it finds decides much of its speed."""
    found = vars(importlib.import_module("unsloth.utils.attention_dispatch"))
    for flag, kernel in (
        ("HAS_FLASH_ATTENTION", "flash-attn"),
        ("HAS_XFORMERS", "xformers"),
        ("_TORCH_VARLEN_ATTN", "torch's varlen_attn"),
    ):
        if found.get(flag):
            return kernel
    return "sdpa, row by row, for want of flash-attn, xformers and torch 2.12"


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
        "max_steps": NEVER,
        "per_device_train_batch_size": job.micro,
        "gradient_accumulation_steps": 1,  # Unsloth's own default is 2
        "learning_rate": LEARNING_RATE,
        "bf16": device.dtype("auto", device.choose()) is torch.bfloat16,
        "optim": "adamw_torch_fused",
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _packed(job: Job) -> dict[str, Any]:
    """The arguments of TRL's trainer."""
    return {**_arguments(job), "max_length": job.length, "packing": True, "gradient_checkpointing": False}


def labels(one: Example) -> list[int]:
    """A row's labels: those of its prompt are IGNORED."""
    return [IGNORED] * one.prompt_length + one.input_ids[one.prompt_length :]


def _tokenized(examples: list[Example]) -> Dataset:
    rows = {"input_ids": [one.input_ids for one in examples], "labels": [labels(one) for one in examples]}
    return Dataset.from_dict(rows)
