"""Prints the SHA-256 of the gradient of one batch: `python -m tests.stress.gradient`, in a folder of the stage.

Two processes with equal code and files must print equal lines, on one GPU model or on a CPU.
"""

import hashlib

import torch

from copywriter import params, paths
from copywriter.training import experiment
from tests.support import row_losses


def main() -> None:
    """Computes it with an adapter whose B is not 0, so that no part of the gradient is."""
    made = experiment.prepare(params.load())
    training = made.trainer(paths.RUNS / "gradient")
    drawn = torch.randn(training.step.weights.shape, generator=torch.Generator().manual_seed(0))
    training.step.weights.data.add_(0.01 * drawn.to(training.step.weights.device))
    rows = range(min(made.plan.micro_batch_size, len(made.train_data)))
    batch = training.data_collator([made.train_data[at] for at in rows])
    found = row_losses.gradient(training.step, [batch])
    print(hashlib.sha256(found.cpu().numpy().tobytes()).hexdigest())


if __name__ == "__main__":
    main()
