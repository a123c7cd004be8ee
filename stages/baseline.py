"""What can be had without a model: for each test title, the description of the most similar training title as it is.

Reads data/test.parquet, data/train.parquet, data/neighbours.
Writes data/predictions_nearest.jsonl, data/statistics_nearest.parquet, data/similarity.csv, metrics/nearest.json,
       metrics/catalogue.json (the catalogue's own test texts by the scores that need no reference).
"""

import csv
import sys
from collections.abc import Sequence

from copywriter import files, paths, records, stage
from copywriter.errors import UserError
from copywriter.evaluation import measure, ngrams, predictions, row_statistics, scores
from copywriter.evaluation.predictions import Prediction
from copywriter.records import Product
from copywriter.retrieval import contexts


def predict(
    test: Sequence[Product], train: Sequence[Product], neighbours: Sequence[Sequence[tuple[int, float]]]
) -> tuple[list[Prediction], list[float]]:
    """The nearest training row's description for each test title, and how similar the two titles are, 0 to 1.

    `neighbours`: of each test row, as the stage retrieve found them. A title that shares nothing with any training
    title gets the first training row, at similarity 0.
    """
    if not train:
        raise UserError("there is no training row to take a description from; raise sample.size")
    rows, similarities = [], []
    for row, nearest in zip(test, neighbours, strict=True):
        at, similarity = nearest[0] if nearest else (0, 0.0)
        rows.append(Prediction(row.title, train[at].title, row.description, train[at].description))
        similarities.append(similarity)
    return rows, similarities


def run() -> str:
    """Reads, looks up, scores and writes; the summary for the log."""
    train, test = records.read_products(paths.TRAIN), records.read_products(paths.TEST)
    measure.prepare(len(test))
    neighbours = contexts.read(contexts.file(paths.TEST))
    rows, likeness = predict(test, train, neighbours)
    library = ngrams.library([row.description for row in train], measure.RUN)
    found, signatures = measure.measure(rows, library)
    result = scores.rounded(found.sum(0))
    catalogue = [Prediction(row.title, "", row.reference, row.reference) for row in rows]
    own = scores.rounded(row_statistics.table(measure.surface(catalogue) | measure.learned(catalogue, library)).sum(0))
    predictions.write(paths.predictions("nearest"), rows)
    row_statistics.write(paths.statistics("nearest"), found)
    with files.new_file(paths.SIMILARITY) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([["similarity"], *([f"{one:.4f}"] for one in likeness)])
    files.write_json(paths.scores("nearest"), result | {"rows": len(rows), "signatures": signatures})
    files.write_json(
        paths.scores("catalogue"), {name: own[name] for name in scores.WITHOUT_REFERENCE} | {"rows": len(rows)}
    )
    shown = ", ".join(f"{name} {result[name]}" for name in scores.OVERLAP)
    return f"{len(rows):,} titles, mean similarity {sum(likeness) / len(likeness):.2f}, {shown}"


def main() -> None:
    """Wires the stage."""
    if len(sys.argv) > 1:
        raise SystemExit("baseline: takes no argument")
    stage.run("baseline", run)


if __name__ == "__main__":
    main()
