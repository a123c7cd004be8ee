"""Runs a side that trains with Unsloth, in its own process: `python -m benchmarks.unsloth_worker JOB`.

Unsloth changes transformers, TRL and PEFT when it is imported and must be imported before them.
"""

import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.sides import SIDES, Job


def run(job: Job) -> None:
    """Trains the job's side and writes its result, or the sentence that Unsloth is missing."""
    if sentence := SIDES[job.side].missing():
        job.result.write_text(json.dumps({"failed": sentence}))
        return
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"  # else it tells a server about this machine
    os.environ["UNSLOTH_COMPILE_LOCATION"] = str(job.folder / "unsloth")  # else it writes to the working folder
    importlib.import_module("unsloth")
    from benchmarks import worker  # imports transformers, TRL and PEFT

    worker.run(job)


if __name__ == "__main__":
    run(Job.read(Path(sys.argv[1])))
