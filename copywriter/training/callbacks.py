"""Trainer callbacks: set the sampler's epoch, save checkpoints, stop on NaN or on a signal."""

from typing import Any

import torch
from transformers import TrainerCallback

from copywriter import paths
from copywriter.checkpoints import contents
from copywriter.errors import UserError

_NAMED = 40  # rows in a message


class RunCallbacks(TrainerCallback):
    """The callbacks of a QloraTrainer."""

    def __init__(self, training: Any) -> None:
        self._training = training
        self._losses: torch.Tensor | None = None  # of the steps since the last log entry, on the device

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restores state that the Trainer does not store, and repeats an evaluation that was interrupted."""
        training = self._training
        state.compute_steps(args, state.max_steps)  # the checkpoint's are those of the run that wrote it
        self._losses = torch.zeros(args.logging_steps, device=args.device)
        if training.checkpoint is None:
            return
        contents.restore_log(training, training.checkpoint)
        step = state.global_step
        if training.until is not None:
            return

        def due(step: int) -> bool:
            return bool(step % args.eval_steps == 0 or step == state.max_steps)

        # A shorter run that ended here has evaluated at its last step.
        state.log_history = [one for one in state.log_history if "eval_loss" not in one or due(one["step"])]
        step = state.global_step
        if due(step) and not any(one["step"] == step and "eval_loss" in one for one in state.log_history):
            training.evaluate()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Sets the sampler's epoch, before its first batch is drawn."""
        self._training.order.set_epoch(int(state.epoch))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stops on a signal, and stores the random state in case the step is interrupted."""
        training = self._training
        if training.accelerator.num_processes == 1:
            training.interrupts.check()
        elif state.global_step % args.logging_steps == 0:  # the processes synchronize there anyway
            self._agree()
        training.at_begin = contents.own(training) if training.interruptible else None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Requests the checkpoints that runs of other lengths resume from."""
        self._training.at_begin = None
        if self._training.schedule.ends_an_epoch(state.global_step):
            control.should_save = True
        if self._training.until == state.global_step:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Raises UserError on a NaN loss or endless fp16 overflow, before a checkpoint is overwritten."""
        if "loss" in (logs or {}):
            self.refuse_nan()
            self._refuse_overflow()

    def note(self, loss: torch.Tensor) -> None:
        """Adds a micro-batch's share to the loss of the step, without waiting for the device."""
        losses = self._losses
        if losses is None:  # a single step, outside a run
            return
        training = self._training
        place = training.state.global_step % len(losses)
        fresh = training.state.global_step != getattr(self, "_noted", None)
        self._noted = training.state.global_step
        losses[place] = loss if fresh else losses[place] + loss

    def refuse_nan(self) -> None:
        """Raises UserError with the rows of the first recent step whose loss was NaN or infinite."""
        training, losses = self._training, self._losses
        if losses is None:
            return
        everyones = training.accelerator.gather(losses[None])  # (processes, steps)
        bad = (~torch.isfinite(everyones)).any(0).nonzero().flatten().tolist()
        step = training.state.global_step
        done = [one for one in range(max(0, step - len(losses)), step) if one % len(losses) in bad]
        if not done:
            if torch.isfinite(training.step.weights.detach()).all():
                return
            done = [step - 1]
        rows = training.rows_of_step(done[0])
        named = ", ".join(map(str, rows[:_NAMED])) + (" and more" if len(rows) > _NAMED else "")
        last = training.checkpoint or "none: train from the start"
        raise UserError(
            f"the loss is NaN or infinite from step {done[0] + 1:,} on; lower learning_rate, or check its rows "
            f"{named} of {paths.TRAIN} (counted from 0); the last valid checkpoint is {last}"
        )

    def _refuse_overflow(self) -> None:
        """Raises UserError when the loss scale, halved from 65,536 at every overflow, falls below 1."""
        scaler = getattr(self._training.accelerator, "scaler", None)
        if scaler is not None and scaler.get_scale() < 1:
            raise UserError(
                "the gradients overflow in fp16 at every loss scale, so no step can be taken; set precision: "
                "fp32, or use a card with bf16"
            )

    def _agree(self) -> None:
        """Stops all processes at the same step when one of them got a signal."""
        training = self._training
        asked = torch.tensor(int(training.interrupts.asked is not None), device=training.args.device)
        if int(training.accelerator.reduce(asked)):
            training.interrupts.asked = training.interrupts.asked or "another process"
            training.interrupts.check()
