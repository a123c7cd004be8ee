"""What is compared: the sides, the settings they share, and the job that one process of one side gets."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parent.parent
MAX_LENGTH, MAX_PROMPT = 525, 75
BATCH = 8
LEARNING_RATE = 2e-4
LORA: dict[str, Any] = {"r": 16, "alpha": 32}  # on all linear layers
SEED = 42


@dataclass(frozen=True)
class Side:
    """One way to train the same rows."""

    name: str
    way: Literal["notebook", "trl", "ours"]
    quantization: Literal["4bit", "8bit", "none"]
    note: str  # for the table's caption: the settings that the name does not say
    attention: str = "sdpa"
    dropout: float = 0.0  # of LoRA's input: every side is faster without
    changes: dict[str, Any] = field(default_factory=dict)  # of params.yaml, for ours
    largest: bool = False  # with the largest micro batch that fits; its size starts from the measured ours-dense
    default: bool = True


_NOTEBOOK = (
    "transformers' Trainer, prepare_model_for_kbit_training (gradient checkpointing on), bf16, fused AdamW, sdpa; "
    f"a row a sequence, padded to {MAX_LENGTH}, padding masked"
)
_TRL = (
    "TRL's SFTTrainer, packing (its own bfd, padding-free), bf16, fused AdamW, no gradient checkpointing, sdpa; rows "
    "tokenized beforehand"
)
_SIDES = (
    Side("notebook", "notebook", "4bit", f"{_NOTEBOOK}; NF4, double quantization"),
    Side("trl-packing-4bit", "trl", "4bit", f"{_TRL}; NF4, double quantization"),
    Side("ours-4bit", "ours", "4bit", "dequantize: false", changes={"advanced.dequantize": False}),
    Side("ours-dense", "ours", "4bit", "dequantize: true", changes={"advanced.dequantize": True}),
    Side(
        "ours-dense-dropout",
        "ours",
        "4bit",
        "dequantize: true, lora.dropout: 0.05",
        dropout=0.05,
        changes={"advanced.dequantize": True},
    ),
    Side(
        "ours-dense-large",
        "ours",
        "4bit",
        "dequantize: true, the largest micro batch (8 times a power of two) that fits",
        changes={"advanced.dequantize": True},
        largest=True,
    ),
    Side(
        "ours-checkpointing",
        "ours",
        "4bit",
        "dequantize: false, gradient_checkpointing: true (its memory is the figure of interest)",
        changes={"advanced.dequantize": False, "advanced.gradient_checkpointing": True},
    ),
    Side("trl-packing-bf16", "trl", "none", f"{_TRL}; LoRA on bf16 weights, not quantized"),
    Side("notebook-8bit", "notebook", "8bit", f"{_NOTEBOOK}; LLM.int8"),
    Side("ours-8bit", "ours", "8bit", "quantization: 8bit, dequantize: auto", changes={"advanced.dequantize": "auto"}),
    Side("ours-bf16", "ours", "none", "quantization: none", default=False),
    Side(
        "trl-packing-4bit-flex",
        "trl",
        "4bit",
        f"{_TRL.replace('sdpa', 'flex_attention')}; NF4, double quantization",
        attention="flex_attention",
        default=False,
    ),
)
SIDES = {side.name: side for side in _SIDES}


@dataclass(frozen=True)
class Job:
    """What one process does; it travels as a JSON file."""

    shape: str
    side: str  # "" for the preparation of a shape
    tiny: bool
    weights: Path  # the base model, made by the preparation
    folder: Path  # scratch
    result: Path  # JSON, written as soon as something is known
    kernels: Path  # text: the kernels of a step that take most of its time
    rows: int
    micro: int  # rows of MAX_LENGTH tokens in a batch
    warmup: int  # steps before the clock starts
    steps: int  # at most so many are timed
    seconds: float  # no further step is timed after so long
    apart: int  # steps taken apart into forward, backward and so on, after the timed ones
    profiled: int  # steps under torch.profiler, after these
    started: float  # time.monotonic() when the process was started

    def write(self, file: Path) -> None:
        """Writes the job to `file`."""
        file.write_text(json.dumps(dataclasses.asdict(self), default=str))

    @classmethod
    def read(cls, file: Path) -> "Job":
        """The job in `file`."""
        given = json.loads(file.read_text())
        return cls(**given | {name: Path(given[name]) for name in ("weights", "folder", "result", "kernels")})
