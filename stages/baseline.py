"""The nearest-neighbour baseline: each test title gets the description of the most similar training title.

Reads  data/test.parquet, data/train.parquet, data/neighbours
Writes data/predictions_nearest.jsonl, data/statistics_nearest.parquet, data/similarity.csv, metrics/nearest.json,
       metrics/catalogue.json (the scores without reference, of the catalogue's own test texts)
"""

import csv
import sys
from collections.abc import Sequence

from copywriter import files, paths, records, stage
from copywriter.errors import UserError
from copywriter.evaluation import measure, ngrams, predictions, row_statistics, scores
from copywriter.evaluation.metrics import memorisation
from copywriter.evaluation.predictions import Prediction
from copywriter.records import Product
from copywriter.retrieval import neighbours


def predict(
    test: Sequence[Product], train: Sequence[Product], found: Sequence[Sequence[tuple[int, float]]]
) -> tuple[list[Prediction], list[float]]:
    """The nearest training row's description for each test title, and the similarity of the two titles, 0 to 1.

    `found`: the neighbours of each test row. A title that shares nothing with any training title gets the first
    training row, at similarity 0.
    """
    if not train:
        raise UserError("there is no training row to take a description from; raise sample.size")
    rows, similarities = [], []
    for row, nearest in zip(test, found, strict=True):
        at, similarity = nearest[0] if nearest else (0, 0.0)
        rows.append(Prediction(row.title, train[at].title, row.description, train[at].description, facts=row.facts))
        similarities.append(similarity)
    return rows, similarities


def run() -> str:
    """Reads, searches, scores and writes; returns the log's summary."""
    train, test = records.read_products(paths.TRAIN), records.read_products(paths.TEST)
    measure.preload(len(test))
    found = neighbours.read(paths.TEST, len(test))
    rows, similarities = predict(test, train, found)
    training_ngrams = ngrams.index([row.description for row in train], memorisation.WORDS)
    # No model saw a source: the text is itself the source, so none of its numbers are made up, and all is copied.
    statistics, signatures = measure.measure(rows, training_ngrams, [f"{row.question}\n{row.written}" for row in rows])
    result = scores.rounded(statistics.sum(0))
    catalogue = [Prediction(row.title, "", row.reference, row.reference, facts=row.facts) for row in rows]
    own = scores.rounded(measure.without_reference(catalogue, training_ngrams).sum(0))
    predictions.write(paths.predictions("nearest"), rows)
    row_statistics.write(paths.statistics("nearest"), statistics)
    with files.new_file(paths.SIMILARITY) as new, new.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([["similarity"], *([f"{one:.4f}"] for one in similarities)])
    files.write_json(paths.scores("nearest"), result | {"rows": len(rows), "signatures": signatures})
    files.write_json(
        paths.scores("catalogue"), {name: own[name] for name in scores.WITHOUT_REFERENCE} | {"rows": len(rows)}
    )
    shown = ", ".join(f"{name} {result[name]}" for name in scores.OVERLAP)
    return f"{len(rows):,} titles, mean similarity {sum(similarities) / len(similarities):.2f}, {shown}"


def main() -> None:
    """Runs the stage."""
    if len(sys.argv) > 1:
        raise SystemExit("baseline: takes no argument")
    stage.run("baseline", run)


if __name__ == "__main__":
    main()
