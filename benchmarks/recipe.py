"""The plain recipe: TRL's SFTTrainer with QLoRA as its documentation has it, on this project's rows and prompts.

What a competent user gets in an hour. Settings that the documentation leaves open are TRL's own defaults; only gradient
checkpointing is off, which changes the speed alone. Nothing here is tuned, checked or cut at a word.
"""

import importlib.metadata
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from benchmarks.sides import LEARNING_RATE, LORA, SEED
from copywriter import files, params, paths
from copywriter.errors import UserError
from copywriter.generation.generate import Generated
from copywriter.modeling import device, loading
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product

FINISHED = "training.json"  # in an adapter's folder: epochs, steps and tokens of its training; written last
DROPOUT = 0.05  # of LoRA's input: TRL's own default
_CHECKPOINTS, _PAUSED = "checkpoints", "paused.json"  # in it as well
_LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes")


class _Pause(TrainerCallback):
    """Saves a checkpoint and stops once so many minutes have passed."""

    def __init__(self, minutes: float) -> None:
        self._until = time.monotonic() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **unused: Any) -> None:
        if time.monotonic() > self._until:
            control.should_save = control.should_training_stop = True


class _Sft(SFTTrainer):
    """TRL's trainer, whose LoRA weights are bf16 after a pause as well: PEFT would load them as float32."""

    def _load_from_checkpoint(self, *given: Any, **named: Any) -> None:
        super()._load_from_checkpoint(*given, **named)
        trained: Any = self.model
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)


def folder_of(epochs: float, steps: int | None, out: Path) -> Path:
    """Where an adapter lies in `out`, named by how long it was trained."""
    return out / (f"{epochs:g}-epochs" if steps is None else f"{steps}-steps")


def finished(folder: Path) -> dict[str, Any] | None:
    """Epochs, steps and tokens of a finished training; None when it has not finished. UserError: other rows."""
    file = folder / FINISHED
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text())
    if found["data"] != files.sha256(paths.TRAIN):
        raise UserError(f"{folder} was trained on other rows than {paths.TRAIN} holds; delete it")
    return found


def dataset(rows: Sequence[Product], prompter: Prompter) -> Dataset:
    """Prompts as texts, exactly as ours are asked and cut, and whole descriptions; TRL adds the end token."""
    prompts = prompter.prompts([row.title for row in rows])
    return Dataset.from_dict(
        {
            "prompt": [prompter.tokenizer.decode(ids) for ids in prompts],
            "completion": [row.description for row in rows],
        }
    )


def trainer(rows: Sequence[Product], p: params.Params, epochs: float, steps: int | None, folder: Path) -> Any:
    """The trainer, ready to train; `steps` instead of `epochs` where it is given."""
    processor = device.choose()
    dtype = device.dtype(p.precision, processor)
    quantization = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    tokenizer = load_tokenizer(paths.BASE)
    return _Sft(
        model=AutoModelForCausalLM.from_pretrained(
            paths.BASE,
            dtype=dtype,
            quantization_config=quantization,
            device_map={"": processor},
            local_files_only=True,
            use_safetensors=True,
        ),
        args=SFTConfig(
            output_dir=str(folder / _CHECKPOINTS),
            num_train_epochs=epochs,
            max_steps=steps or -1,
            per_device_train_batch_size=p.batch_size,
            learning_rate=LEARNING_RATE,
            max_length=p.max_length,
            packing=True,
            gradient_checkpointing=False,
            bf16=dtype is torch.bfloat16,
            fp16=dtype is torch.float16,
            seed=SEED,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=processor.type == "cuda",
        ),
        train_dataset=dataset(rows, Prompter(tokenizer, p)),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=LORA["r"],
            lora_alpha=LORA["alpha"],
            lora_dropout=DROPOUT,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def train(
    rows: Sequence[Product], p: params.Params, epochs: float, steps: int | None, minutes: float, folder: Path
) -> bool:
    """Trains, or goes on where an earlier call paused, and writes an adapter to `folder`; False where time ran out."""
    training = trainer(rows, p, epochs, steps, folder)
    training.add_callback(_Pause(minutes))
    checkpoints = folder / _CHECKPOINTS
    last = get_last_checkpoint(checkpoints) if checkpoints.exists() else None  # type: ignore[no-untyped-call]
    begin = time.perf_counter()
    training.train(resume_from_checkpoint=last)
    seconds = time.perf_counter() - begin + (json.loads((folder / _PAUSED).read_text()) if last else 0.0)
    state = training.state
    if state.global_step < state.max_steps:
        (folder / _PAUSED).write_text(json.dumps(seconds))
        return False
    training.model.save_pretrained(folder)
    load_tokenizer(paths.BASE).save_pretrained(folder)
    files.write_json(folder / loading.RECEIPT, {"base": loading.base_identity(paths.BASE)})  # what merging it asks for
    facts = {
        "epochs": state.epoch,
        "steps": state.global_step,
        "tokens": round(state.epoch * sum(len(one) for one in training.train_dataset["input_ids"])),
        "seconds": round(seconds, 1),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "data": files.sha256(paths.TRAIN),
    }
    files.write_json(folder / FINISHED, facts)
    return True


@torch.inference_mode()
def texts(adapter: Path, prompts: Sequence[list[int]], p: params.Params) -> list[Generated]:
    """What a user of PEFT gets: `generate`, greedily, all prompts in one batch, the adapter beside the 4-bit base."""
    processor = device.choose()
    base = loading.load_base(paths.BASE, "4bit", device.dtype(p.precision, processor), processor)
    adapted: Any = PeftModel.from_pretrained(base, str(adapter)).eval()
    tokenizer = load_tokenizer(paths.BASE)
    end = int(tokenizer.eos_token_id)
    width = max(map(len, prompts))
    pads = torch.tensor([width - len(one) for one in prompts], device=processor)
    out = adapted.generate(
        input_ids=torch.tensor([[end] * (width - len(one)) + one for one in prompts], device=processor),
        attention_mask=(torch.arange(width, device=processor) >= pads[:, None]).long(),
        do_sample=False,
        max_new_tokens=p.decoding.max_new_tokens,
        eos_token_id=end,
        pad_token_id=end,
    )
    rows = [row[: row.index(end) + 1] if end in row else row for row in out[:, width:].tolist()]
    read = tokenizer.batch_decode(rows, skip_special_tokens=True)
    return [Generated(text.strip(), end in row, len(row)) for text, row in zip(read, rows, strict=True)]
