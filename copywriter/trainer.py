"""The trainer: TRL's SFTTrainer on packed sequences, with a token-weighted loss and checkpoints known to be whole."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import set_seed
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from copywriter import loss, packing, state
from copywriter.graph import GradientGraph
from copywriter.params import Params
from copywriter.stage import UserError

_SHAPES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def with_adapter(model: PreTrainedModel, params: Params) -> PeftModel:
    """`model` with an untrained LoRA adapter (A random by the seed, B = 0) in float32, its other weights frozen."""
    set_seed(params.seed)
    model.requires_grad_(False)
    targets: Any = params.lora.target_modules
    config = LoraConfig(
        r=params.lora.r,
        lora_alpha=params.lora.alpha,
        lora_dropout=params.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, one in model.named_modules() if hasattr(one, "in_features")})
        raise UserError(f"lora.target_modules {targets!r} fits no layer; the model has {', '.join(names)}") from error
    return adapted


class QloraTrainer(SFTTrainer):
    """Trains on sequences of copywriter.packing; the loss is the mean over all completion tokens of an optimizer step.

    Gradient accumulation and several GPUs weight by tokens too, so batch 8 equals 8 accumulated batches of 1.
    """

    def __init__(
        self,
        model: PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        params: Params,
        train: Any,
        validation: Any,
        folder: Path,
        dtype: torch.dtype,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        """`train` and `validation`: datasets of packing.sequence dicts; `folder`: for checkpoints."""
        pad_id = int(tokenizer.eos_token_id)
        collator = packing.Collator(pad_id, None)
        if params.packing:
            collator = packing.Collator(pad_id, params.max_length, params.micro_batch_size)
        trained = [(parameter, parameter.data) for parameter in model.parameters() if parameter.requires_grad]
        super().__init__(
            model=model,
            args=_arguments(params, folder, dtype),
            data_collator=collator,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=tokenizer,
            callbacks=list(callbacks),
        )
        # TRL rounds the adapter of a quantized model to bf16; in float32 small updates are kept and a run that goes on
        # from a checkpoint equals one that was never interrupted.
        for parameter, exact in trained:
            parameter.data = exact
        _write_nll_into_forward(cast(PreTrainedModel, model.get_base_model()))
        self.model_accepts_loss_kwargs = True
        self._trained = [parameter for parameter, _ in trained]
        self._graph: GradientGraph | None = None
        self._captures = (
            params.cuda_graph
            and params.packing
            and not params.gradient_checkpointing
            and self.args.device.type == "cuda"
            and self.args.world_size == 1
            and dtype is not torch.float16  # its loss is scaled anew while training
        )

    def fit(self) -> None:
        """Trains, from the newest whole checkpoint if there is one; validates before, on the way and at the end."""
        checkpoint = state.last_whole(Path(str(self.args.output_dir)))
        self.args.eval_on_start = checkpoint is None
        self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if not any(one["step"] == self.state.global_step and "eval_loss" in one for one in self.state.log_history):
            self.evaluate()

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Adds a batch's gradients to the parameters; its share of the step's loss, detached."""
        if not self._captures:
            return cast(torch.Tensor, super().training_step(model, inputs, num_items_in_batch))  # type: ignore[no-untyped-call]
        batch = {**self._prepare_inputs(inputs), "tokens": torch.as_tensor(num_items_in_batch, device=self.args.device)}
        if self._graph is None:
            model.train()
            waiting = [parameter.grad for parameter in self._trained]
            self._graph = GradientGraph(lambda one: self._loss(model, one), self._trained, batch)
            for parameter, gradient in zip(self._trained, waiting, strict=True):
                parameter.grad = gradient
        model.train()
        return self._graph(batch)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Sum of the completion tokens' negative log-likelihoods over `num_items_in_batch`, the step's token count."""
        if return_outputs:
            raise ValueError("the logits are never built; ask for the loss alone")
        tokens = inputs["labels"][:, 1:].ne(loss.IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        # DDP averages gradients over its processes; the count is that of all of them.
        scale = self.accelerator.num_processes if num_items_in_batch is not None else 1
        return scale * self._loss(model, {**inputs, "tokens": torch.as_tensor(tokens)})

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean negative log-likelihood per completion token over all validation rows (not a mean of batch means)."""
        model = cast(torch.nn.Module, self.model)
        model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        with torch.no_grad():
            for inputs in self.get_eval_dataloader(eval_dataset):
                with self.compute_loss_context_manager():
                    total = model(**inputs)
                sums += torch.stack([total.double(), inputs["labels"][:, 1:].ne(loss.IGNORED).sum().double()])
        nll, tokens = self.accelerator.reduce(sums).tolist()
        metrics = {f"{metric_key_prefix}_loss": nll / tokens}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Nothing: the card is the report's business, and a checkpoint needs none."""

    def _save_checkpoint(self, model: torch.nn.Module, trial: object) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]
        if self.is_world_process_zero():
            state.mark_whole(Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}")

    @staticmethod
    def _loss(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        inputs = {name: batch[name] for name in ("input_ids", "labels", "position_ids")}
        total: torch.Tensor = model(**inputs)
        return total / batch["tokens"].to(total.device)


def _write_nll_into_forward(model: PreTrainedModel) -> None:
    """Makes `model(input_ids, labels, position_ids)` the summed loss: it goes through PEFT's and DDP's own forward."""
    if getattr(model.config.get_text_config(), "final_logit_softcapping", None):
        raise UserError(
            f"{model.config.model_type} caps its logits, which the loss here does not; choose another model"
        )
    backbone: Any = model.base_model
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]

    def forward(
        input_ids: torch.Tensor, labels: torch.Tensor, position_ids: torch.Tensor, **unused: object
    ) -> torch.Tensor:
        hidden = backbone(input_ids=input_ids, position_ids=position_ids, use_cache=False).last_hidden_state
        return loss.nll(hidden[:, :-1].flatten(0, 1), head.weight, labels[:, 1:].flatten())

    model.forward = forward


def _arguments(params: Params, folder: Path, dtype: torch.dtype) -> SFTConfig:
    arguments = SFTConfig(
        output_dir=str(folder),
        seed=params.seed,
        data_seed=params.seed,
        num_train_epochs=params.epochs,
        per_device_train_batch_size=params.micro_batch_size,
        per_device_eval_batch_size=4 * params.micro_batch_size,  # without gradients there is room for more
        gradient_accumulation_steps=params.batch_size // params.micro_batch_size,
        learning_rate=params.learning_rate,
        lr_scheduler_type=_SHAPES[params.schedule.shape],
        warmup_steps=params.schedule.warmup_steps,
        weight_decay=params.schedule.weight_decay,
        max_grad_norm=params.schedule.max_grad_norm,
        bf16=dtype is torch.bfloat16,
        fp16=dtype is torch.float16,
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
        max_length=params.max_length,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(),
    )
    if arguments.world_size == 1 and arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one process, one GPU: the Trainer would spread a batch over all by DataParallel
    return arguments
