"""Scores the committed texts of a variant again: `python -m tools.relock.rescore VARIANT HOW`."""

import sys

from copywriter import params, paths, stage
from copywriter.evaluation import measure, predictions
from stages import evaluate


def main() -> None:
    """Writes what evaluate writes; HOW is how the texts' likelihoods were computed, in the words of the scores."""
    variant, how = sys.argv[1:]

    def work() -> str:
        rows = predictions.read(paths.predictions(variant))
        measure.preload(len(rows))
        return evaluate.score(variant, rows, how, params.load())

    stage.run(f"rescore@{variant}", work)


if __name__ == "__main__":
    main()
