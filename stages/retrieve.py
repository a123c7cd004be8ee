"""Finds the most similar training products of every row: of a training row never those of its own family.

Reads data/train.parquet, data/validation.parquet, data/test.parquet.
Writes data/neighbours/{train,validation,test}.parquet: for each row the numbers of training rows and similarities.
"""

from pathlib import Path

from copywriter import files, parallel, paths, records, stage
from copywriter.errors import UserError
from copywriter.retrieval import neighbours
from copywriter.retrieval.index import Index, Numbers
from copywriter.retrieval.search import search
from copywriter.splitting import families

SPLITS = (paths.TRAIN, paths.VALIDATION, paths.TEST)


def own_families() -> Numbers:
    """The family of each training row, as the number of its first row."""
    return families.families(records.iterate_products(paths.TRAIN))


def titles(file: Path) -> list[str]:
    return [row.title for row in records.iterate_products(file)]


def run() -> str:
    """Reads, searches and writes; the summary for the log."""
    train = titles(paths.TRAIN)
    if not train:
        raise UserError("there is no training row to take neighbours from; raise sample.size")
    index = Index(train)
    family = own_families()
    means = []
    with files.new_folder(paths.NEIGHBOURS) as aside:
        for file in SPLITS:
            own = file == paths.TRAIN
            asked = train if own else titles(file)
            found = search(index, asked, neighbours.COUNT, (family, family) if own else None, parallel.processors())
            neighbours.write(aside / file.name, found)
            means.append(f"{file.stem} {found.similarities[:, 0].mean():.2f}")
    return f"{len(train):,} training titles; mean similarity of the nearest: {', '.join(means)}"


def main() -> None:
    """Wires the stage."""
    stage.run("retrieve", run)


if __name__ == "__main__":
    main()
