"""The training step: loss and gradients of a batch, on CUDA compiled and launched as one graph."""

from typing import Any, cast

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import PreTrainedModel

from copywriter.errors import UserError
from copywriter.modeling import attention, compilation, lora, loss
from copywriter.modeling.cuda_graph import Batch, Replay
from copywriter.training.run_plan import RunPlan


class Step:
    """Gradients and losses of batches of copywriter.training.packing.Collator, for one adapter."""

    def __init__(self, model: PeftModel, plan: RunPlan, accelerator: Accelerator, device: torch.device) -> None:
        """Compiles what `plan` says is compiled; a graph is captured at the first batch."""
        self._model = model.train()  # a loaded base is in evaluation mode
        self._device = device
        self._scaler = getattr(accelerator, "scaler", None)
        self._accelerator = accelerator
        self._adapter = lora.trainable(model, plan.lora_forward == "grouped", plan.dtype)
        self.weights = self._adapter.weights
        base = cast(PreTrainedModel, model.get_base_model())
        self._captures = plan.cuda_graph
        self._compiled = plan.compiled
        self._windows = attention.windows(base)
        self._block = attention.block_size(base, plan.dtype)
        if self._compiled:
            attention.use(base)
            _compile(base)
            if plan.gradient_checkpointing:
                compilation.recompute(base, random=not plan.cuda_graph)  # a captured one has no dropout then
        _write_nll_into_forward(base, self._compiled)
        self._training: Replay | None = None
        self._measuring: Replay | None = None

    def gradients(self, batch: Batch, tokens: torch.Tensor | int | None) -> torch.Tensor:
        """Adds the batch's gradients to those of `weights`; returns its summed loss over `tokens`, detached."""
        if not self._model.training:
            self._model.train()
        batch = self._placed(batch) | {"tokens": torch.as_tensor(tokens, device=self._device)}
        if not self._captures:
            return self._gradients(batch)
        if self._training is None:
            waiting = cast(torch.Tensor, self.weights.grad).clone()
            self._training = Replay(self._gradients, batch)
            cast(torch.Tensor, self.weights.grad).copy_(waiting)
        return self._training(batch) if self._training.fits(batch) else self._gradients(batch)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Summed negative log-likelihood of the batch's completion tokens, and their number: float64 (2)."""
        if self._model.training:
            self._model.eval()
        batch = self._placed(batch)
        if not self._captures:
            return self._measure(batch)
        if self._measuring is None:
            self._measuring = Replay(self._measure, batch)
        return self._measuring(batch) if self._measuring.fits(batch) else self._measure(batch)

    def exchange(self) -> None:
        """Sums the gradients of all processes."""
        if self._accelerator.num_processes > 1:
            torch.distributed.all_reduce(cast(torch.Tensor, self.weights.grad))

    def clip(self, most: float) -> torch.Tensor:
        """Scales the gradient down to the norm `most`; returns the norm before."""
        gradient = cast(torch.Tensor, self.weights.grad)
        norm = torch.linalg.vector_norm(gradient)
        if most != float("inf"):
            gradient.mul_((most / (norm + 1e-6)).clamp(max=1.0))
        return cast(torch.Tensor, norm)

    def zero_gradient(self, set_to_none: bool = True) -> None:
        """Zeroes the gradient in place: a CUDA graph writes to its address."""
        cast(torch.Tensor, self.weights.grad).zero_()

    def _placed(self, batch: Batch) -> Batch:
        placed = {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}
        if self._compiled:  # concatenates all sequences to one
            placed |= {name: placed[name].view(1, -1) for name in ("input_ids", "position_ids")}
        return placed

    def _gradients(self, batch: Batch) -> torch.Tensor:
        self._adapter.refresh()
        result = self._nll(batch) / batch["tokens"]
        (self._scaler.scale(result) if self._scaler else result).backward()
        self._adapter.collect()
        return result.detach()

    @torch.no_grad()
    def _measure(self, batch: Batch) -> torch.Tensor:
        self._adapter.refresh()
        tokens = batch["targets"].ne(loss.IGNORED).sum()
        return torch.stack([self._nll(batch).double(), tokens.double()])

    def _nll(self, batch: Batch) -> torch.Tensor:
        inputs: dict[str, Any] = {name: tensor for name, tensor in batch.items() if name != "tokens"}
        if self._compiled:
            inputs["row_masks"] = attention.masks(batch["position_ids"], self._windows, self._block)
        return cast(torch.Tensor, self._model(**inputs))


def _compile(model: PreTrainedModel) -> None:
    """Compiles each transformer block; the rest of the step gains nothing inside a graph."""
    torch._functorch.config.autograd_cache_allow_custom_autograd_functions = True
    model.enable_input_require_grads()  # type: ignore[no-untyped-call] # without it the first block is compiled separately
    compilation.begin(model)


def _write_nll_into_forward(model: PreTrainedModel, compiled: bool) -> None:
    """Replaces the forward pass by the summed loss of a collated batch; PEFT's forward calls it."""
    if getattr(model.config.get_text_config(), "final_logit_softcapping", None):
        raise UserError(
            f"{model.config.model_type} caps its logits, which this loss does not support; choose another model"
        )
    backbone: Any = model.base_model
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]

    def forward(
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        predicting: torch.Tensor,
        targets: torch.Tensor,
        **rows: Any,
    ) -> torch.Tensor:
        hidden = backbone(input_ids=input_ids, position_ids=position_ids, use_cache=False, **rows).last_hidden_state
        return loss.nll(hidden.flatten(0, -2).index_select(0, predicting), head.weight, targets, compiled)

    model.forward = forward
