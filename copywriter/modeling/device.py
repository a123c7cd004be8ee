"""Selects the device and the number format; a GPU that is present but unusable stops the run."""

import os
from pathlib import Path

import torch

from copywriter.errors import UserError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def choose() -> torch.device:
    """The CUDA device where one works, else the CPU; UserError when a GPU is present but torch cannot use it."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    driver = driver_version()
    if driver and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        raise UserError(
            f"a GPU is present (driver {driver}) but torch {torch.__version__} "
            f"(built for CUDA {torch.version.cuda or 'none: a CPU build'}) cannot use it; install a torch build "
            "that fits the driver, or set CUDA_VISIBLE_DEVICES= to use the CPU on purpose"
        )
    return torch.device("cpu")


def driver_version(proc: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """The NVIDIA driver's version, None on a machine without one."""
    try:
        words = proc.read_text().split()
    except OSError:
        return None
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "unknown")


def dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format for `precision`; auto: bf16 on CUDA (fp16 on cards without bf16), fp32 on a CPU.

    UserError where the device does not support the format.
    """
    cuda = device.type == "cuda"
    has_bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "auto":
        precision = ("bf16" if has_bf16 else "fp16") if cuda else "fp32"
    if precision == "bf16" and not has_bf16:
        raise UserError(f"precision is bf16, which {name(device)} does not have; use precision: auto")
    if precision == "fp16" and not cuda:
        raise UserError(f"precision is fp16, which {name(device)} does not have; use precision: auto")
    return DTYPES[precision]


def check_format(model_type: str, dtype: torch.dtype) -> None:
    """Raises UserError where the model's activations overflow `dtype`: Gemma's in fp16."""
    if model_type.startswith("gemma") and dtype is torch.float16:
        raise UserError(f"{model_type} overflows in fp16; set precision: fp32, or use a card with bf16")


def set_deterministic(on: bool) -> None:
    """Makes equal runs give equal bits, on one GPU model or on a CPU with any number of threads.

    On CUDA no kernel is then selected by timing, which varies between runs. Inductor's own switch for this still times
    kernels without a loop over a reduction; the block size of one that sums a few products changed the last bits of a
    gradient. On a CPU MKL sums in an order that does not depend on the number of threads (its strict mode; without it 1
    and 2 threads gave different bits in a test). Call it before the first product and before anything is compiled: the
    libraries read both variables once. The flags are set one by one because torch.use_deterministic_algorithms would
    also replace scatters without collisions by slower ones.
    """
    from torch._inductor import config as inductor  # slow to import

    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    inductor.deterministic = on
    inductor.triton.autotune_pointwise = not on
    torch.backends.cudnn.deterministic = on


def name(device: torch.device) -> str:
    """The device's name for messages."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "this CPU"
