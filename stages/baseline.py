"""The nearest-neighbour baseline: each test title gets the description of the most similar training title.

Reads  data/test.parquet, data/train.parquet
Writes data/predictions_nearest.jsonl, data/statistics_nearest.parquet, data/similarity.csv, metrics/nearest.json,
       metrics/catalogue.json (the scores without reference, of the catalogue's own test texts)
"""

import csv
import sys
from collections.abc import Sequence

from tqdm import tqdm

from copywriter import errors, files, paths, records, stage
from copywriter.errors import UserError
from copywriter.evaluation import measure, ngrams, predictions, row_statistics, scores
from copywriter.evaluation.metrics import memorisation
from copywriter.evaluation.predictions import Prediction
from copywriter.records import Product
from copywriter.retrieval.nearest import nearest


def predict(test: Sequence[Product], train: Sequence[Product]) -> tuple[list[Prediction], list[float]]:
    """The nearest training row's description for each test title, and the similarity of the two titles, 0 to 1."""
    if not train:
        raise UserError("there is no training row to take a description from; raise sample.size")
    rows, similarities = [], []
    found = nearest([row.title for row in test], [row.title for row in train])
    with tqdm(**errors.progress("titles", len(test))) as bar:
        for row, (at, similarity) in zip(test, found, strict=True):
            rows.append(Prediction(row.title, train[at].title, row.description, train[at].description))
            similarities.append(similarity)
            bar.update()
    return rows, similarities


def run() -> str:
    """Reads, searches, scores and writes; returns the log's summary."""
    train, test = records.read_products(paths.TRAIN), records.read_products(paths.TEST)
    measure.preload(len(test))
    rows, similarities = predict(test, train)
    training_ngrams = ngrams.index([row.description for row in train], memorisation.WORDS)
    statistics, signatures = measure.measure(rows, training_ngrams)
    result = scores.rounded(statistics.sum(0))
    catalogue = [Prediction(row.title, "", row.reference, row.reference) for row in rows]
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
