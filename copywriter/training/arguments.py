"""params.yaml and the run plan as arguments of the Trainer, which runs the loop."""

import sys
from pathlib import Path

import torch
from trl.trainer.sft_config import SFTConfig

from copywriter.params import Params
from copywriter.training.run_plan import RunPlan


def arguments(params: Params, plan: RunPlan, folder: Path) -> SFTConfig:
    """The arguments of a run with checkpoints in `folder`."""
    by_transformers = plan.gradient_checkpointing and not plan.compiled  # else by copywriter.training.step
    found = SFTConfig(
        output_dir=str(folder),
        use_cpu=not torch.cuda.is_available(),
        seed=params.seed,
        data_seed=params.seed,
        num_train_epochs=params.epochs,
        gradient_accumulation_steps=plan.accumulation_steps,
        per_device_train_batch_size=plan.micro_batch_size,
        learning_rate=params.learning_rate,
        weight_decay=params.advanced.weight_decay,
        max_grad_norm=params.advanced.max_grad_norm,
        bf16=False,  # no autocast: the model's weights are in the format that it computes in
        fp16=plan.dtype is torch.float16,  # for its loss scaling
        gradient_checkpointing=by_transformers,
        gradient_checkpointing_kwargs={"use_reentrant": False} if by_transformers else None,
        optim="adamw_torch_fused",
        logging_steps=params.advanced.log_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=params.advanced.eval_steps,
        save_strategy="steps",
        save_steps=params.save_steps,
        report_to="none",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=params.sequence_length,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(),
    )
    if found.world_size == 1 and found.n_gpu > 1:
        found._n_gpu = 1  # one process, one GPU: the Trainer would spread a batch over all by DataParallel
    return found
