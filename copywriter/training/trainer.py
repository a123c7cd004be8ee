"""The trainer: TRL's SFTTrainer with its own training step, and a validation loss over all tokens."""

import math
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, set_seed
from datasets import Dataset
from peft import PeftModel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import IntervalStrategy
from trl.trainer.sft_trainer import SFTTrainer

from copywriter.checkpoints import checkpoint_files, contents
from copywriter.checkpoints.schedule import Schedule
from copywriter.errors import UserError
from copywriter.modeling import loss
from copywriter.params import Params
from copywriter.training import packing
from copywriter.training.arguments import arguments
from copywriter.training.callbacks import RunCallbacks
from copywriter.training.data_order import EpochOrder
from copywriter.training.interrupts import Interrupted, Interrupts
from copywriter.training.run_plan import RunPlan
from copywriter.training.step import Step


class QloraTrainer(SFTTrainer):
    """Trains on sequences of `packing`; the loss is the mean over all completion tokens of an optimizer step.

    Gradient accumulation and several GPUs weight by tokens too, so batch 8 equals 8 accumulated batches of 1. The loop,
    its callbacks and logs are the Trainer's; `step` computes loss and gradients of a batch.
    """

    def __init__(
        self,
        model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        params: Params,
        plan: RunPlan,
        train: packing.Sequences,
        validation: packing.Sequences,
        folder: Path,
        callbacks: Sequence[TrainerCallback] = (),
        interrupts: Interrupts | None = None,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        """`folder`: for checkpoints; `interrupts`: signals that stop the run after its state is saved.

        `may_write` is called before a checkpoint is written and raises when another process has taken the folder over.
        """
        trained = [(parameter, parameter.data) for parameter in model.parameters() if parameter.requires_grad]
        super().__init__(
            model=model,
            args=arguments(params, plan, folder),
            train_dataset=Dataset.from_dict({"sequence": range(len(train))}),  # the Trainer accepts no other class
            eval_dataset=Dataset.from_dict({"sequence": range(len(validation))}),
            processing_class=tokenizer,
            callbacks=list(callbacks),
        )
        # TRL rounds the adapter of a quantized model to bf16. In float32 small updates are not lost, and a resumed run
        # equals one that was never interrupted.
        for parameter, exact in trained:
            parameter.data = exact
        set_seed(params.seed, device_specific=True)  # each process draws its own dropout
        self.adapter, self.plan = model, plan
        self.callbacks = RunCallbacks(self)
        self.add_callback(self.callbacks)
        self._train, self.validation = train, validation
        pad_id = int(tokenizer.eos_token_id)
        self.data_collator = self.measuring = packing.Collator(pad_id)
        if params.packing:
            size = plan.micro_batch_size
            shape = (pad_id, params.sequence_length, size)
            self.data_collator = packing.Collator(*shape, packing.label_capacity(train.trained_tokens, size))
            self.measuring = packing.Collator(*shape, packing.most_labels(validation.trained_tokens, size))
        self.order = EpochOrder(
            len(train),
            params.batch_size,
            plan.micro_batch_size,
            params.seed,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        self.step = Step(model, plan, self.accelerator, self.args.device)
        steps = self.order.steps
        self.schedule = Schedule(params.schedule, steps, params.epochs * steps, params.advanced.decay_shape)
        self.interrupts = interrupts or Interrupts()
        self._may_write = may_write
        self.checkpoint: Path | None = None  # the one that the run resumed from, later the last one written
        self.at_begin: torch.Tensor | None = None  # within a step: `contents.own` before it
        self.until: int | None = None
        # A step on a CPU may take longer than a cluster waits after SIGTERM; a CUDA capture must not be interrupted.
        self.interruptible = self.args.device.type == "cpu" and self.accelerator.num_processes == 1
        # The Trainer's own versions walk through all modules of the model in every step.
        model.zero_grad = self.step.zero_gradient  # type: ignore[method-assign]
        self.accelerator.prepare_model = lambda model, **_: model  # Step places the model

    def fit(self) -> None:
        """Trains, from the newest complete checkpoint if there is one; validates before, during and after training.

        On SIGINT or SIGTERM it saves the state of the last finished step and raises Interrupted.
        """
        checkpoint = self._newest()
        if checkpoint:
            print(f"train_qlora: resumes from {checkpoint}", file=sys.stderr)
        self._train_from(checkpoint)

    def replay(self, checkpoint: Path | None, until: int) -> None:
        """Trains from a checkpoint (None: from the start) to step `until`, and writes no checkpoint."""
        self.until = until
        self.args.eval_strategy = IntervalStrategy.NO
        self._train_from(checkpoint)

    def rows_of_step(self, step: int) -> list[int]:
        """The row numbers in the batches of all processes in a step; rows and steps counted from 0."""
        counts = [int((one["position_ids"] == 0).sum()) for one in self._train]
        rows = np.split(self._train.numbers, np.cumsum(counts)[:-1])
        return sorted(int(row) for sequence in self.order.of_step(step) for row in rows[sequence])

    def _train_from(self, checkpoint: Path | None) -> None:
        self.checkpoint = checkpoint
        self.args.eval_on_start = checkpoint is None and self.until is None
        with self.interrupts.postponed():
            try:
                self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            except Interrupted as asked:
                raise Interrupted(f"{asked}; {self._save_finished_steps()}") from None

    def _save_finished_steps(self) -> str:
        step = self.state.global_step
        if not step or self.until is not None:
            return "nothing was trained yet"
        contents.rewind(self)
        self._save_checkpoint(self.model, None)
        return f"the state after step {step:,} is saved"

    def _newest(self) -> Path | None:
        """The newest complete checkpoint, chosen by the main process for all."""
        folder = Path(str(self.args.output_dir))
        found = [checkpoint_files.newest(folder, self.schedule) if self.accelerator.is_main_process else None]
        checkpoint = cast(list[Path | None], broadcast_object_list(found))[0]
        if checkpoint and checkpoint_files.damage(checkpoint):  # on a host that does not share the disk
            raise UserError(
                f"{socket.gethostname()} cannot read all of {checkpoint}; set COPYWRITER_RUNS to a folder that all "
                "hosts share, or remove the checkpoint to train from the start"
            )
        return checkpoint

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Micro-batches of this process in the order of `order`."""
        return DataLoader(
            cast(Any, self._train),
            batch_sampler=self.order,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            generator=torch.Generator(),  # without it an epoch would advance dropout's random state
        )

    def create_optimizer(self, model: object = None) -> torch.optim.Optimizer:
        """AdamW over the one trained tensor."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                [self.step.weights], lr=self.args.learning_rate, weight_decay=self.args.weight_decay, fused=True
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The learning rate by `schedule`, whose total is that of the params even when a replay ends earlier."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(cast(torch.optim.Optimizer, self.optimizer), self.schedule.factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Adds a batch's gradients to the adapter's; returns its share of the step's loss, detached."""
        with self.interrupts.postponed(not self.interruptible):
            part = self.step.gradients(inputs, num_items_in_batch)
        self.callbacks.note(part)
        if self.accelerator.sync_gradients:
            self.step.exchange()
        return part * float(self.accelerator.num_processes)  # the log is a mean over processes

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean negative log-likelihood per completion token over all validation rows (not a mean of batch means)."""
        metrics = {f"{metric_key_prefix}_loss": self.validation_loss(len(self.validation))}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def validation_loss(self, count: int) -> float:
        """As `evaluate`, over the first `count` validation sequences, without a log entry."""
        sequences = self.validation
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        size = int(self.args.per_device_train_batch_size)
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        for start in range(0, count, size * processes):
            numbers = range(start + rank * size, min(start + (rank + 1) * size, count))
            if processes == 1:
                self.interrupts.check()
            with self.interrupts.postponed(not self.interruptible):
                sums += self.step.loss(self.measuring([sequences[number] for number in numbers]))
        nll, tokens = self.accelerator.reduce(sums).tolist()
        return float(nll / tokens)

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, torch.Tensor]], device: torch.device
    ) -> torch.Tensor:
        tokens = torch.stack([batch["targets"].ne(loss.IGNORED).sum() for batch in batch_samples]).sum()
        return cast(torch.Tensor, self.accelerator.reduce(tokens.to(device, non_blocking=True)))

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Logs as the Trainer does; the gradient norm is None when the step was skipped because fp16 overflowed."""
        if not math.isfinite(logs.get("grad_norm") or 0.0):
            logs["grad_norm"] = None
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: object) -> int:
        """Not counted: the Trainer would walk through all weights in every step."""
        return 0

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Does nothing: the report writes the model card."""

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        self.accelerator.unscale_gradients(self.optimizer)
        return self.step.clip(self.args.max_grad_norm)

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: torch.Tensor | None = None) -> torch.Tensor:
        return self.step.clip(float("inf")) if grad_norm is None else grad_norm

    def _save_checkpoint(self, model: object, trial: object) -> None:
        if self.until is not None:
            return
        self.callbacks.refuse_nan()
        files = contents.take(self)
        if self.accelerator.is_main_process:
            self._may_write()
            folder = Path(str(self.args.output_dir))
            self.checkpoint = checkpoint_files.write(folder, self.state.global_step, self.schedule, files)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        contents.restore_weights(self, Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            contents.restore_optimizer(self, Path(checkpoint))

    def _load_scaler(self, checkpoint: str | None) -> None:
        """Does nothing: the scaler is restored with the optimizer."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint:
            contents.restore_random(self, Path(checkpoint))
