"""The sides of the training benchmark, the settings they share, and a job for one side in its own process."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.support.process import ROOT as ROOT

MAX_LENGTH, MAX_PROMPT = 525, 75
BATCH = 8
LEARNING_RATE = 2e-4
LORA: dict[str, Any] = {"r": 16, "alpha": 32}  # on all linear layers
SEED = 42
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Exit|Interrupt)\b.*", re.MULTILINE)


@dataclass(frozen=True)
class Side:
    """One way to train the same rows."""

    name: str
    way: Literal["notebook", "trl", "unsloth", "ours"]
    quantization: Literal["4bit", "8bit", "none"]
    note: str  # for the table's caption: the settings that the name does not say
    attention: str = "sdpa"
    dropout: float = 0.0  # of LoRA's input: every side is faster without
    changes: dict[str, Any] = field(default_factory=dict)  # of params.yaml, for ours
    largest: bool = False  # with the largest micro batch that fits; its size starts from the measured ours-dense
    default: bool = True
    package: str = ""  # import name of a package that only this side needs; it is not in requirements.txt

    @property
    def module(self) -> str:
        """The module whose process trains this side."""
        return "benchmarks.unsloth_worker" if self.way == "unsloth" else "benchmarks.worker"

    def missing(self) -> str | None:
        """A sentence about a missing package, None when this process could import all."""
        if not self.package or importlib.util.find_spec(self.package):
            return None
        return f"{self.package} is not installed; run 'pip install {self.package.replace('_', '-')}'"


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
    Side(
        "trl-packing-4bit-liger",
        "trl",
        "4bit",
        f"{_TRL}; NF4, double quantization; use_liger_kernel (Liger's norms, rotary embedding and SwiGLU; the loss is "
        "TRL's)",
        default=False,
        package="liger_kernel",
    ),
    Side(
        "unsloth-packing-4bit",
        "unsloth",
        "4bit",
        "Unsloth's FastLanguageModel and its version of TRL's SFTTrainer, packing, bf16, Unsloth's default optimizer, "
        "no gradient checkpointing; rows tokenized beforehand; NF4, double quantization",
        default=False,
        package="unsloth",
    ),
)
SIDES = {side.name: side for side in _SIDES}


@dataclass(frozen=True)
class Job:
    """One process's work, handed over as a JSON file."""

    shape: str
    side: str  # "" for the preparation of a shape
    tiny: bool
    weights: Path  # the base model, made by the preparation
    folder: Path  # scratch
    result: Path  # JSON, written after each phase
    kernels: Path  # text: the kernels of a step that take most of its time
    rows: int
    micro: int  # sequences in a batch
    warmup: int  # steps before the clock starts
    steps: int  # the most that are timed
    seconds: float  # no further step is timed after this time
    apart: int  # steps split into forward, backward and so on, after the timed ones
    profiled: int  # steps under torch.profiler, after these
    started: float  # time.monotonic() when the process was started
    own_rows: Path | None = None  # the tokenized rows of data/train.parquet; None: drawn rows and random weights
    length: int = MAX_LENGTH  # tokens of a packed or padded sequence

    def write(self, file: Path) -> None:
        """Writes the job to `file`."""
        file.write_text(json.dumps(dataclasses.asdict(self), default=str))

    @classmethod
    def read(cls, file: Path) -> "Job":
        """The job in `file`."""
        given = json.loads(file.read_text())
        names = ("weights", "folder", "result", "kernels", "own_rows")
        return cls(**given | {name: Path(given[name]) for name in names if given[name] is not None})


def run_job(module: str, job: Job, log: Path, limit: float, packages: Path | None = None) -> dict[str, Any]:
    """The result of `python -m module` for the job; its key "failed" says why there is none, or what failed later.

    `packages`: a folder of packages that this process imports before the installed ones. `limit`: seconds.
    """
    file = job.result.with_suffix(".job")
    job.write(file)
    # One GPU, which every side is made for; the user's own settings take precedence.
    environment = {"CUDA_VISIBLE_DEVICES": "0", **os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if packages:
        environment["PYTHONPATH"] = os.pathsep.join([str(packages), environment.get("PYTHONPATH", "")])
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(file)],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:  # and its children: compilers, data loaders
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    result: dict[str, Any] = json.loads(job.result.read_text()) if job.result.exists() else {}
    if code != 0 or not result:
        how = f"exceeded {limit:.0f} s" if code is None else f"exit code {code}"
        result["failed"] = f"{how}: {_last_error(log)}"
    return result


def _last_error(log: Path) -> str:
    """The last error in a log, else its last line."""
    text = log.read_text(errors="replace").strip()
    errors = list(_ERROR.finditer(text))
    return (errors[-1][0] if errors else text.rpartition("\n")[2])[:250] or "no output"
