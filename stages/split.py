"""Splits the sample into train, validation and test sets so that no product family has rows in two of them.

Reads: data/sample.parquet.
Writes: data/train.parquet, data/validation.parquet, data/test.parquet, metrics/split_counts.json.
Params: seed, split.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from copywriter import files, params, paths, records, stage, text
from copywriter.errors import UserError
from copywriter.records import Product
from copywriter.splitting import families

FILES = {"train": paths.TRAIN, "validation": paths.VALIDATION, "test": paths.TEST}


@dataclass(frozen=True, slots=True)
class Families:
    """The families of a sample: for each row, in order, its family's name and whether it is the first row of it."""

    names: Sequence[str]  # the smallest digest of the family's rows: the same in any order of the rows
    leads: Sequence[bool]


def find_families(rows: Iterable[Product]) -> Families:
    """The families of the rows, which are read once."""
    digests: list[bytes] = []

    def with_digests() -> Iterator[Product]:
        for row in rows:
            digests.append(text.digest(row.title, row.description))
            yield row

    first = families.families(with_digests()).tolist()
    smallest = dict(zip(first, digests, strict=True))
    for number, digest in zip(first, digests, strict=True):
        smallest[number] = min(digest, smallest[number])
    names = {number: digest.hex() for number, digest in smallest.items()}
    return Families([names[number] for number in first], [at == number for at, number in enumerate(first)])


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


def rows_needed(sizes: Iterable[int], given: params.Split) -> int:
    """From how many rows on each set has a family, when every product that is added is a family of its own."""
    families = list(sizes)
    while True:
        families.append(1)
        rows = sum(families)
        test, validation = round(rows * (1 - given.train - given.validation)), round(rows * given.validation)
        # The test set may take single rows until it is full; one more must be left, and one for train.
        if test and validation and len(families) > 2 and families.count(1) > test:
            return rows


def split(found: Families, given: params.Split, seed: int, sample_size: int | None = None) -> list[str]:
    """The part of each row: train, validation, test or, where near-duplicates are thinned, "thinned".

    Thinning keeps the first row of each training family. The sample is in random order, so this does not change the
    distribution of text lengths. UserError if a part would be empty.; with fewer rows than
    `sample_size` it says how many are missing.
    """
    dealt = deal(Counter(found.names), given, seed)
    parts = [dealt[name] for name in found.names]
    shares = {"train": given.train, "validation": given.validation, "test": 1 - given.train - given.validation}
    for part, share in shares.items():
        if part not in parts:
            cure = "raise sample.size, or that share in params.yaml"
            if sample_size and len(parts) < sample_size:  # every row of the catalogue is in the sample
                needed = rows_needed(Counter(found.names).values(), given)
                cure = (
                    "the sample has all rows of the catalogue, and variants of one text are one family: add products "
                    f"with texts of their own; with {needed - len(parts):,} more, {needed:,} rows, it works"
                )
            raise UserError(
                f"the {part} set is empty: no family fits its share, {share:.3g} of {len(parts):,} rows in "
                f"{len(dealt):,} families; {cure}"
            )
    if given.near_duplicates == "thin":
        pairs = zip(parts, found.leads, strict=True)
        return ["thinned" if part == "train" and not leads else part for part, leads in pairs]
    return parts


def chosen(file: Path, parts: Sequence[str], part: str) -> Iterator[pa.Table]:
    """The rows of a file that belong to `part`, in its order."""
    start = 0
    for table in records.iterate_tables(file):
        yield table.filter(pa.array([one == part for one in parts[start : start + len(table)]]))
        start += len(table)


def run(
    given: params.Params,
    sampled: Path = paths.SAMPLE,
    outputs: Mapping[str, Path] = FILES,
    counted: Path = paths.SPLIT_COUNTS,
) -> str:
    """Splits the sample; the summary line."""
    found = find_families(records.iterate_products(sampled))
    sizes = Counter(found.names).values()
    parts = split(found, given.split, given.seed, given.sample.size)
    counts = {part: records.write_tables(outputs[part], chosen(sampled, parts, part)) for part in outputs}
    counts["thinned"] = parts.count("thinned")
    files.write_json(counted, counts | {"families": len(sizes), "largest_family": max(sizes)})
    dealt = ", ".join(f"{count:,} {part}" for part, count in counts.items() if count)
    return f"{dealt} rows of {len(sizes):,} families, the largest of {max(sizes):,} rows"


def main() -> None:
    stage.run("split", lambda: run(params.load()))


if __name__ == "__main__":
    main()
