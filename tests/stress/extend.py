"""Trains 3 epochs, extends to 5, shortens to 2, and compares with new runs of 5 and 2: `python -m tests.stress.extend`.

Run in a checkout with data/ and models/base. Prints seconds and SHA-256 of each run. Exit code 1 when an extended or
shortened run differs from a new one.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from copywriter import files, params, paths
from tests.support import process, trial

_RUNS = (("continued", 3), ("continued", 5), ("continued", 2), ("new 5", 5), ("new 2", 2))


def run(place: Path, runs: str, epochs: int, changes: dict[str, Any]) -> tuple[float, str, str]:
    """Seconds of the stage, SHA-256 of the adapter's weights, and of both histories and the receipt together."""
    room = place / f"{runs}-{epochs}"
    (room / "models").mkdir(parents=True)
    (room / "data").symlink_to(Path("data").resolve())
    (room / paths.BASE).symlink_to(paths.BASE.resolve())
    given = trial.changed(params.load(), {**changes, "epochs": epochs, "tracking": []})
    (room / "params.yaml").write_text(yaml.safe_dump(given.model_dump()))
    environment = {
        **process.environment(),
        "COPYWRITER_RUNS": str(place / f"runs {runs}"),
    }
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "stages.train_qlora"], cwd=room, env=environment, stdout=subprocess.DEVNULL, check=True
    )
    seconds = time.perf_counter() - begin
    others = [room / paths.TRAIN_HISTORY, room / paths.VALIDATION_HISTORY, room / paths.ADAPTER / "receipt.json"]
    weights = files.sha256(room / paths.ADAPTER / "adapter_model.safetensors")
    return seconds, weights, files.digest([files.sha256(file) for file in others])


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress.extend", description=__doc__)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to params.yaml")
    options = parser.parse_args()
    changes = {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in options.set)}
    found: dict[tuple[str, int], tuple[str, str]] = {}
    print("| runs/ | epochs | seconds | adapter | histories and receipt |\n| --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="copywriter-extend-") as scratch:
        for runs, epochs in _RUNS:
            seconds, weights, rest = run(Path(scratch), runs, epochs, changes)
            found[runs, epochs] = weights, rest
            print(f"| {runs} | {epochs} | {seconds:.1f} | {weights[:16]} | {rest[:16]} |", flush=True)
    if (found["continued", 5], found["continued", 2]) != (found["new 5", 5], found["new 2", 2]):
        sys.exit("tests.stress.extend: DIFFERENT")
    print("equal")


if __name__ == "__main__":
    main()
