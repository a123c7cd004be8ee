"""Warm-up, stable, decay (WSD) against cosine on the working folder's data: `python -m benchmarks.schedules`.

Prints the validation loss at the end of each run and its difference to cosine's.
"""

import argparse
from typing import Any

from tests.support import trial


def variants(decays: list[float]) -> dict[str, dict[str, Any]]:
    """Changes to params.yaml by name; the first is the reference."""
    found: dict[str, dict[str, Any]] = {"cosine": {"schedule.shape": "cosine"}}
    for decay in decays:
        for shape in ("1-sqrt", "linear"):
            given = {"schedule.shape": "wsd", "schedule.decay": decay, "advanced.decay_shape": shape}
            found[f"wsd, {decay} epochs of {shape}"] = given
    return found | {"constant": {"schedule.shape": "constant"}}


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules", description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=[3])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0002])
    parser.add_argument("--decays", type=float, nargs="+", default=[0.25, 0.5, 0.9])
    options = parser.parse_args()
    print("| epochs | learning rate | schedule | validation loss | to cosine |\n| --- | --- | --- | --- | --- |")
    for epochs in options.epochs:
        for rate in options.rates:
            first = 0.0
            for name, given in variants(options.decays).items():
                common = {"epochs": epochs, "learning_rate": rate, "advanced.eval_steps": 10**9, "save_steps": 10**9}
                result = trial.train_in_process(common | {"tracking": []} | given)
                loss = result["validation"][str(result["steps"])]
                first = first or loss
                print(f"| {epochs} | {rate:g} | {name} | {loss:.4f} | {loss / first - 1:+.2%} |", flush=True)


if __name__ == "__main__":
    main()
