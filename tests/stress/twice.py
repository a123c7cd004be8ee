"""The same training twice with empty compilation caches: `python -m tests.stress.twice`, with data/ and models/base.

Prints, with and without `deterministic`: the SHA-256 of weights and losses, real tokens/s, and the cost of the
deterministic mode. Exit code 1 when two deterministic runs differ.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from copywriter import files
from tests.support import trial


def run(changes: dict[str, Any], steps: int, strict: bool = False, threads: str = "") -> Any:
    """A training with empty compilation caches."""
    with tempfile.TemporaryDirectory(prefix="copywriter-twice-") as cold:
        caches = {"TORCHINDUCTOR_CACHE_DIR": cold, "TRITON_CACHE_DIR": str(Path(cold) / "triton")}
        if threads:
            caches["OMP_NUM_THREADS"] = threads
        return trial.train_in_process(changes, steps, strict, **caches)


def main() -> None:
    """Reads the command line and compares."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress.twice", description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to params.yaml")
    parser.add_argument("--threads", nargs="*", default=[""], help="OMP_NUM_THREADS of each run in turn")
    parser.add_argument("--strict", action="store_true", help="also list operations without a fixed order")
    options = parser.parse_args()
    given = {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in options.set)}
    rates, equal = {}, {}
    for deterministic in (True, False):
        changes = given | {"advanced.deterministic": deterministic}
        threads = [options.threads[n % len(options.threads)] for n in range(options.times)]
        found = [run(changes, options.steps, threads=one) for one in threads]
        for one in found:
            print(
                f"deterministic {deterministic}: weights {one['weights'][:16]}, losses "
                f"{files.digest(one['losses'])[:16]}, {one['tokens_per_second']:,.0f} real tokens/s, {one['step']}",
                flush=True,
            )
        equal[deterministic] = len({(one["weights"], files.digest(one["losses"])) for one in found}) == 1
        rates[deterministic] = max(one["tokens_per_second"] for one in found)
        print(f"deterministic {deterministic}: {'equal' if equal[deterministic] else 'DIFFERENT'} bits", flush=True)
    print(f"deterministic costs {1 - rates[True] / rates[False]:.1%} of the tokens/s (best of {options.times})")
    if options.strict:
        eager = given | {"advanced.deterministic": True, "advanced.compile": False, "advanced.cuda_graph": False}
        unordered = run(eager, 3, strict=True)["unordered"]
        print("\n".join(["operations without a fixed order, by torch's warnings:", *(unordered or ["none"])]))
    if not equal[True]:
        sys.exit("tests.stress.twice: two deterministic runs differ")


if __name__ == "__main__":
    main()
