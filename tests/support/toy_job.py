"""A job of the training benchmark at toy size."""

from pathlib import Path

from benchmarks.sides import Job


def toy_job(folder: Path, side: str) -> Job:
    """A side's job on eight rows, whose weights are in `folder`/base and whose files are made in `folder`."""
    return Job(
        shape="smollm2-135m",
        side=side,
        tiny=True,
        weights=folder / "base",
        folder=folder / "scratch",
        result=folder / "result.json",
        kernels=folder / "kernels.txt",
        rows=8,
        micro=2,
        warmup=1,
        steps=1,
        seconds=1,
        apart=1,
        profiled=1,
        started=0.0,
    )
