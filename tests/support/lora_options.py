"""LoRA options for tests: each accepted one alone and in combinations, and the base model that they adapt."""

from pathlib import Path
from typing import Any

import torch

from copywriter.modeling import loading
from tests.support.training import CPU

SELECTION = {
    "layers_to_transform": [1],
    "layers_pattern": "layers",
    "exclude_modules": ["k_proj", "down_proj"],
    "rank_pattern": {"q_proj": 4, "up_proj": 6},
    "alpha_pattern": {"q_proj": 20, "o_proj": 7.5},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "rslora": {"use_rslora": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "blocks": {"layers_to_transform": 1},
    "blocks by name": {"layers_to_transform": [0], "layers_pattern": "layers"},
    "excluded": {"exclude_modules": ["k_proj", "down_proj"]},
    "excluded by pattern": {"exclude_modules": r".*\.0\.mlp\..*"},
    "targets by pattern": {"target_modules": r".*\.(q|o|up)_proj"},
    "ranks": {"rank_pattern": {"q_proj": 4, r"layers\.0\.mlp\.up_proj": 6}},
    "alphas": {"alpha_pattern": {"q_proj": 20, "layers.1.mlp.down_proj": 7.5}},
    "dora": {"use_dora": True},
    "grouped": {**SELECTION, "use_rslora": True, "init_lora_weights": "gaussian"},
    "all": {**SELECTION, "use_rslora": True, "init_lora_weights": "gaussian", "use_dora": True},
}
TOGETHER = ["grouped", "all"]  # each accepted option is in one of them


def options(name: str) -> dict[str, Any]:
    return {f"lora__{key}": value for key, value in OPTIONS[name].items()}


def base(room: Path, quantization: str = "none") -> Any:
    return loading.load_base(room / "models/base", quantization, torch.float32, CPU)
