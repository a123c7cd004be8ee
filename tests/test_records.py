"""Rows come back from a file as they went in, and equal rows make equal bytes."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import files, records
from copywriter.errors import UserError
from copywriter.records import Example, Product

ROWS = [
    Product("Tutu", "Three layers."),
    Product("Lâmpada", 'Diz "olá",\nduas linhas.'),
    Product("鞄", "👜 \0"),
]
texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Product, texts, texts), max_size=20))
def test_products_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Product]) -> None:
    file = tmp_path_factory.mktemp("records") / "rows.parquet"
    assert records.write_products(file, rows) == len(rows)
    assert records.read_products(file) == rows
    assert list(records.iterate_products(file)) == rows


def test_rows_over_several_groups_come_back(tmp_path: Path) -> None:
    rows = [Product(str(number), "x" * (number % 7)) for number in range(2 * records.ROWS_PER_GROUP + 5)]
    records.write_products(tmp_path / "rows.parquet", rows)
    assert pq.ParquetFile(tmp_path / "rows.parquet").num_row_groups == 3
    assert records.read_products(tmp_path / "rows.parquet") == rows


def test_the_schema_is_two_texts_that_are_never_null(tmp_path: Path) -> None:
    records.write_products(tmp_path / "rows.parquet", ROWS)
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert schema.equals(records.SCHEMA)
    assert [(field.name, field.type, field.nullable) for field in schema] == [
        ("title", pa.string(), False),
        ("description", pa.string(), False),
    ]


def test_equal_rows_make_equal_bytes_however_they_come(tmp_path: Path) -> None:
    rows = [Product(f"Title {number}", "text " * (number % 50)) for number in range(records.ROWS_PER_GROUP + 1_000)]

    def in_chunks() -> Iterator[Product]:
        for start in range(0, len(rows), 777):
            yield from rows[start : start + 777]

    for name, given_rows in (("list", rows), ("generator", in_chunks()), ("iterator", iter(rows))):
        records.write_products(tmp_path / name, given_rows)
    assert len({files.sha256(tmp_path / name) for name in ("list", "generator", "iterator")}) == 1


@pytest.mark.parametrize(
    "sizes", [[20_000], [1] * 99 + [19_901], [0, 16_384, 0, 3_616], [16_385, 3_615], [7_000] * 2 + [6_000]]
)
def test_tables_make_the_bytes_of_their_rows_however_they_are_parted(tmp_path: Path, sizes: list[int]) -> None:
    pairs = [(f"Title {number}", "text " * (number % 50)) for number in range(20_000)]
    records.write_products(tmp_path / "rows", [Product(*pair) for pair in pairs])
    ends = list(accumulate(sizes))
    tables = [records.table(pairs[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    assert records.write_tables(tmp_path / "tables", tables) == len(pairs)
    assert files.sha256(tmp_path / "tables") == files.sha256(tmp_path / "rows")


def test_no_tables_make_a_file_without_rows(tmp_path: Path) -> None:
    assert records.write_tables(tmp_path / "rows", []) == 0
    assert records.read_products(tmp_path / "rows") == []


@given(st.lists(st.builds(Example, texts, st.text(st.characters()), st.text(st.characters())), max_size=5))
def test_examples_come_back_whatever_they_hold(tmp_path_factory: pytest.TempPathFactory, rows: list[Example]) -> None:
    file = tmp_path_factory.mktemp("records") / "examples.jsonl"
    records.write_examples(file, rows)
    assert records.read_examples(file) == rows
    assert file.read_bytes().isascii()


def test_the_bytes_are_those_of_the_pinned_pyarrow(tmp_path: Path) -> None:
    if pa.__version__ != "26.0.1":
        pytest.skip(f"Parquet files carry the version of pyarrow, here {pa.__version__}; requirements.txt pins 26.0.1")
    records.write_products(tmp_path / "rows.parquet", ROWS)
    golden = "46c903e83a934610ae69944d2a50ea2b065d3ee4158643f6a32daef1f4033964"
    assert files.sha256(tmp_path / "rows.parquet") == golden


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Product]:
        yield ROWS[0]
        raise UserError("no more")

    records.write_products(tmp_path / "rows.parquet", ROWS)
    with pytest.raises(UserError):
        records.write_products(tmp_path / "rows.parquet", broken())
    assert records.read_products(tmp_path / "rows.parquet") == ROWS
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_missing_file_is_named_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows.parquet is missing; run 'dvc repro'"):
        records.read_products(tmp_path / "rows.parquet")


def test_facts_are_a_column_only_where_a_catalogue_names_some(tmp_path: Path) -> None:
    rows = [Product("Bucket", "Of steel.", "brand: Acme\nsize: L"), Product("Cup", "Of clay.")]
    records.write_products(tmp_path / "with", rows, ["brand", "size", "colour"])
    assert records.read_products(tmp_path / "with") == rows
    assert records.fact_names(tmp_path / "with") == ["brand", "size", "colour"]
    records.write_tables(tmp_path / "copy", records.iterate_tables(tmp_path / "with"))
    assert files.sha256(tmp_path / "copy") == files.sha256(tmp_path / "with")
    records.write_products(tmp_path / "without", rows)
    assert pq.read_schema(tmp_path / "without").names == ["title", "description"]
    assert records.fact_names(tmp_path / "without") == []
