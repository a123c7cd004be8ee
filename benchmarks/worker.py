"""Trains one side, in a process of its own: memory peaks and what libraries patch globally do not mix."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, rows, shapes
from benchmarks.clock import Clock
from benchmarks.sides import SEED, SIDES, Job

_WAYS = {"ours": ours.ours, "notebook": peers.notebook, "trl": peers.trl}


def run(job: Job) -> None:
    """Does the job of a side."""
    side = SIDES[job.side]
    examples = rows.draw(job.rows, shapes.figures(job.shape, job.tiny)["vocab_size"], SEED)
    training = _WAYS[side.way](side, job, examples)
    result: dict[str, Any] = {"micro": job.micro}

    def save() -> None:
        job.result.write_text(json.dumps(result))

    Clock(training, job, result, save)
    training.train()
    if "rate" not in result or not result["tokens"]:
        raise RuntimeError(f"the training ended before the clock did: {result}")
    save()


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
