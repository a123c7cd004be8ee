"""Splits the sample into train, validation and test sets so that no product family has rows in two of them.

Reads: data/sample.parquet.
Writes: data/train.parquet, data/validation.parquet, data/test.parquet, metrics/split_counts.json.
Params: seed, split.train, split.validation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from copywriter import canonical, params, paths, records, stage, text
from copywriter.records import Product
from copywriter.stage import UserError

FILES = {"train": paths.TRAIN, "validation": paths.VALIDATION, "test": paths.TEST}


def family(title: str) -> str:
    """The key of a title's product family, its casefolded words in order: titles with equal keys are one family."""
    return " ".join(text.words(title))


def deal(sizes: Mapping[str, int], given: params.Split, seed: int) -> dict[str, str]:
    """The part of each family, whose number of rows `sizes` gives: train, validation or test.

    Families come in the order of their hashes under `seed`. Each goes to the first of test and validation that has
    room for all of its rows, else to train: the counts are those of the shares wherever small families fill the
    gaps, and a family larger than the test set is trained on.
    """
    rows = sum(sizes.values())
    room = {"test": round(rows * (1 - given.train - given.validation)), "validation": round(rows * given.validation)}
    parts = {}
    for key in sorted(sizes, key=lambda key: (text.digest(str(seed), key), key)):
        parts[key] = next((part for part in room if sizes[key] <= room[part]), "train")
        if parts[key] in room:
            room[parts[key]] -= sizes[key]
    return parts


def split(rows: Iterable[Product], given: params.Split, seed: int) -> dict[str, list[Product]]:
    """The rows of train, validation and test, each in the order of `rows`; UserError when one would be empty."""
    keyed = [(family(row.title), row) for row in rows]
    dealt = deal(Counter(key for key, _ in keyed), given, seed)
    parts: dict[str, list[Product]] = {part: [] for part in FILES}
    for key, row in keyed:
        parts[dealt[key]].append(row)
    shares = {"train": given.train, "validation": given.validation, "test": 1 - given.train - given.validation}
    for part, share in shares.items():
        if not parts[part]:
            raise UserError(
                f"the {part} set is empty: no family fits its share, {share:.3g} of {len(keyed):,} rows in "
                f"{len(dealt):,} families; raise sample.size, or that share in params.yaml"
            )
    return parts


def run(
    given: params.Params,
    sampled: Path = paths.SAMPLE,
    files: Mapping[str, Path] = FILES,
    counted: Path = paths.SPLIT_COUNTS,
) -> str:
    """Splits the sample; the summary line."""
    parts = split(records.iterate_products(sampled), given.split, given.seed)
    counts = {part: records.write_products(files[part], rows) for part, rows in parts.items()}
    families = len({family(row.title) for rows in parts.values() for row in rows})
    canonical.write_json(counted, counts | {"families": families})
    return ", ".join(f"{count:,} {part}" for part, count in counts.items()) + f" rows of {families:,} families"


def main() -> None:
    stage.run("split", lambda: run(params.load()))


if __name__ == "__main__":
    main()
