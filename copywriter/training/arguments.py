"""params.yaml in the words of the Trainer that the loop comes from."""

import sys
from pathlib import Path

import torch
from trl.trainer.sft_config import SFTConfig

from copywriter.params import Params


def arguments(params: Params, folder: Path, dtype: torch.dtype) -> SFTConfig:
    """The arguments of a run with checkpoints in `folder` that computes in `dtype`."""
    found = SFTConfig(
        output_dir=str(folder),
        use_cpu=not torch.cuda.is_available(),
        seed=params.seed,
        data_seed=params.seed,
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.micro_batch_size,
        learning_rate=params.learning_rate,
        weight_decay=params.schedule.weight_decay,
        max_grad_norm=params.schedule.max_grad_norm,
        bf16=False,  # nothing is cast on the way: the model holds the format that it computes in
        fp16=dtype is torch.float16,  # its loss is scaled
        gradient_checkpointing=params.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if params.gradient_checkpointing else None,
        optim="adamw_torch_fused",
        logging_steps=params.log_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=params.eval_steps,
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
    found.gradient_accumulation_steps = params.batch_size // (params.micro_batch_size * found.world_size)
    if found.world_size == 1 and found.n_gpu > 1:
        found._n_gpu = 1  # one process, one GPU: the Trainer would spread a batch over all by DataParallel
    return found
