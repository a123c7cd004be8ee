"""A short training run on a tiny model: its params and rows, its gradients by the trainer and by plain code."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import PeftModel

from copywriter import files, params, paths, records
from copywriter.checkpoints import fingerprint
from copywriter.modeling import loading, lora
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import packing, run_plan, trainer
from tests.conftest import ROOT, changed
from tests.support.tiny import products

SMALL: dict[str, Any] = {
    "max_length": 96,
    "max_prompt_length": 64,
    "epochs": 2,
    "advanced__train_on_unsupported": True,  # each of tiny.products has such a sentence, and no other
    "advanced__log_steps": 1,
    "advanced__eval_steps": 3,
    "save_steps": 2,
    "learning_rate": 0.01,
    "schedule__warmup_steps": 2,
}
CPU = torch.device("cpu")


def examples(folder: Path, p: params.Params, count: int = 24) -> list[Example]:
    rows = products(count)
    prompter = Prompter(load_tokenizer(folder), p)
    return prompter.examples([row.title for row in rows], [row.description for row in rows])


def adapted(folder: Path, p: params.Params) -> PeftModel:
    """A model with an adapter that adds something: B is random, not 0."""
    peft_model = lora.with_adapter(loading.load_base(folder, p.quantization, torch.float32, CPU), p)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.02 * torch.randn(parameter.shape, generator=generator)
    return peft_model


def gradients(room: Path, p: params.Params, rows: list[list[Example]]) -> tuple[float, torch.Tensor]:
    """Loss and all adapter gradients of one optimizer step over the sequences, as the trainer accumulates them."""
    peft_model = adapted(room / "models/base", p)
    tokenizer = load_tokenizer(room / "models/base")
    data = packing.Sequences(rows)
    plan = run_plan.as_asked(p, CPU, len(data))
    training = trainer.QloraTrainer(peft_model, tokenizer, p, plan, data, data, room / "state")
    peft_model.train()
    sequences = list(data)
    micro = [sequences[at : at + p.micro_batch_size] for at in range(0, len(rows), p.micro_batch_size)]
    batches = [training.data_collator(one) for one in micro]
    _, tokens = training.get_batch_samples(iter(batches), len(batches), CPU)
    training.current_gradient_accumulation_steps = len(batches)
    losses = [training.training_step(peft_model, batch, tokens) for batch in batches]
    loss = float(torch.stack(losses).sum())
    total = training.step.weights.grad
    assert total is not None
    weights = [one for name, one in peft_model.named_parameters() if "lora_" in name]  # views of the one flat tensor
    return loss, torch.cat([total[one.storage_offset() :][: one.numel()] for one in weights])


def reference(room: Path, p: params.Params, rows: list[Example]) -> tuple[float, torch.Tensor]:
    """The same by plain means: one row at a time, unpacked, unpadded, torch's own cross-entropy over full logits."""
    peft_model = adapted(room / "models/base", p)
    losses, tokens = [], 0
    for row in rows:
        ids = torch.tensor([row.input_ids])
        logits = peft_model(input_ids=ids).logits[0, row.prompt_length - 1 : -1]
        of_token = torch.nn.functional.cross_entropy(logits, ids[0, row.prompt_length :], reduction="none")
        without = {at for start, end in row.untrained for at in range(start, end)}
        trained = [at - row.prompt_length for at in range(row.prompt_length, len(row.input_ids)) if at not in without]
        losses.append(of_token[trained].sum())
        tokens += len(trained)
    loss = torch.stack(losses).sum() / tokens
    loss.backward()  # type: ignore[no-untyped-call]
    found = [one.grad.flatten() for one in peft_model.parameters() if one.requires_grad and one.grad is not None]
    return float(loss.detach()), torch.cat(found)


def prepare(room: Path, **changes: Any) -> params.Params:
    """Rows and params.yaml for a run of the stage in `room`."""
    p = changed(**{**SMALL, **changes})
    (room / "params.yaml").write_text(yaml.safe_dump(p.model_dump()))
    records.write_products(paths.TRAIN, products(40))
    records.write_products(paths.VALIDATION, products(10, 100))
    return p


def outcome() -> tuple[str, str, str]:
    """Hashes of what a finished run left: the adapter and both curves."""
    curves = (files.sha256(file) for file in (paths.TRAIN_HISTORY, paths.VALIDATION_HISTORY))
    return files.digest(files.folder_hashes(paths.ADAPTER)), *curves  # type: ignore[return-value]


STAGE = [sys.executable, "-m", "stages.train_qlora"]


def environment(room: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COPYWRITER_RUNS": str(room / "runs")}


def mark_of(p: params.Params, base: dict[str, str], processes: int = 1) -> str:
    """The fingerprint of a run on a CPU."""
    return fingerprint.fingerprint(p, run_plan.as_asked(p, CPU, 1, processes).content(), base)
