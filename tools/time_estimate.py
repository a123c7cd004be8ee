"""Prints the device and the estimated time of a run before it starts: `make repro`."""

import json

import torch

from copywriter import params, paths, stage, throughput
from copywriter.modeling import device

# Measured with smollm2-135m in 4 bits on 2 cores: 1,024 tokens in 8 s of training, 85 new tokens a second.
CPU_TRAINED_PER_SECOND = 128
CPU_WRITTEN_PER_SECOND = 85
TOKENS_PER_ROW = 186  # the practice catalogue's mean, used until analyze_lengths has run


def tokens_per_epoch(p: params.Params) -> int:
    """Estimated tokens of an epoch: the sample's rows times the mean length that analyze_lengths measured last."""
    try:
        lengths = json.loads(paths.LENGTHS.read_text(encoding="utf-8"))
        mean = float(lengths["epoch"]["tokens"] / lengths["rows"])
    except (OSError, ValueError, KeyError):
        mean = TOKENS_PER_ROW
    return round(p.sample.size * p.split.train * min(mean, p.max_length))


def cpu_hours(p: params.Params) -> float:
    """Estimated hours of training and two evaluations on two cores with the smallest model."""
    trained = tokens_per_epoch(p) * p.epochs
    written = 2 * p.sample.size * (1 - p.split.train - p.split.validation) * p.decoding.max_new_tokens
    return (trained / CPU_TRAINED_PER_SECOND + written / CPU_WRITTEN_PER_SECOND) / 3600


def work() -> str:
    """The line to print; UserError when a GPU is present but unusable."""
    p = params.load()
    processor = device.choose()
    device.dtype(p.precision, processor)
    if processor.type == "cuda":
        cards = f"{count} x " if (count := torch.cuda.device_count()) > 1 else ""
        time = throughput.expected(tokens_per_epoch(p) * p.epochs, throughput.measured(p.model))
        return f"{p.model} on {p.dataset} will be trained on {cards}{device.name(processor)}; its {time}"
    return (
        f"no GPU here: this experiment would take about {cpu_hours(p):.0f} hours on two cores with smollm2-135m, "
        "longer with a larger model; 'make demo' shows the whole pipeline in minutes"
    )


def main() -> None:
    """Runs the command."""
    stage.run("time_estimate", work)


if __name__ == "__main__":
    main()
