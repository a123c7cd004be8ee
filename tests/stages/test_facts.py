"""Facts of a catalogue in any format come through fetch, clean, sample and split, and change nothing else."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copywriter import files, params, paths, records, sources
from copywriter.errors import UserError
from stages import clean, fetch, retrieve, sample, split
from tests.conftest import changed, stand_in
from tests.support.shop_files import write_sheets

NAMES = ["brand", "size", "colours"]
FACTS = ["brand", "size=Größe", "colours"]
ROWS: list[dict[str, Any]] = [
    {
        "name": f"{noun} {letter * 3}",
        "text": f"{noun} number {number} of {letter}{noun[::-1]} for every {letter} day.",
        "brand": "R&amp;D Ltd" if number % 2 else None,
        "Größe": number,
        "colours": ["red", "blue"][: number % 3],
    }
    for number, (noun, letter) in enumerate((n, c) for n in ("Mug", "Lamp", "Rug", "Chair") for c in "abcdefg")
]
LINES = [
    "\n".join(
        [
            *(["brand: R&D Ltd"] if number % 2 else []),
            f"size: {number}",
            *([f"colours: {', '.join(['red', 'blue'][: number % 3])}"] if number % 3 else []),
        ]
    )
    for number in range(len(ROWS))
]


def as_csv() -> bytes:
    lines = [
        "\t".join(str(", ".join(v) if isinstance(v, list) else "" if v is None else v) for v in row.values())
        for row in ROWS
    ]
    return "\n".join(["\t".join(ROWS[0]), *lines]).encode()


def as_xml() -> bytes:
    def item(row: dict[str, Any]) -> str:
        pairs = [(name, one) for name, held in row.items() for one in (held if isinstance(held, list) else [held])]
        return "".join(f"<{name}>{one}</{name}>" for name, one in pairs if one is not None)

    return f"<rss><channel>{''.join(f'<item>{item(row)}</item>' for row in ROWS)}</channel></rss>".encode()


def as_parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), stream)
    return stream.getvalue()


def as_workbook() -> bytes:
    cells = [[", ".join(v) if isinstance(v, list) else str(v or "") for v in row.values()] for row in ROWS]
    cells[0][3] = "0"
    return write_sheets({"One": [list(ROWS[0]), *cells]})


FORMATS = {
    "lines.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
    "array.json": json.dumps({"products": ROWS}, indent=1).encode(),
    "shop.csv": as_csv(),
    "feed.xml": as_xml(),
    "shop.parquet": as_parquet(),
    "shop.xlsx": as_workbook(),
}


def entry(name: str, **more: Any) -> sources.File:
    given = {"kind": "file", "path": f"catalogues/{name}", "title": "name", "description": "text", "licence": "mine"}
    pin = files.sha256(Path("catalogues") / name)
    return params.check(sources.File, given | {"sha256": pin} | more, "entry")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "catalogues").mkdir()
    for name, content in FORMATS.items():
        (tmp_path / "catalogues" / name).write_bytes(content)
    return stand_in(tmp_path, monkeypatch)


def run(name: str, **more: Any) -> dict[str, Any]:
    """Fetches and cleans; the counts."""
    fetch.fetch("shop", entry(name, **more), paths.RAW)
    clean.run(changed(), processes=1)
    counts: dict[str, Any] = json.loads(paths.CLEAN_COUNTS.read_text())
    return counts


@pytest.mark.parametrize("name", FORMATS)
def test_facts_of_any_format_are_cleaned_and_counted(name: str) -> None:
    counts = run(name, facts=FACTS)
    assert [row.facts for row in records.iterate_products(paths.CLEAN)] == LINES
    assert records.fact_names(paths.CLEAN) == NAMES
    none = {"truncated": 0, "unreadable": 0}
    assert counts["facts"] == {
        "brand": none | {"filled": 14},
        "size": none | {"filled": 28},
        "colours": none | {"filled": 18},
    }


def test_facts_change_no_draw_no_family_and_no_neighbour() -> None:
    p = changed()
    found = []
    for more in ({}, {"facts": FACTS}):
        run("lines.jsonl", **more)
        sample.run(p)
        split.run(p)
        retrieve.run()
        parts = [records.read_products(file) for file in (paths.SAMPLE, *split.FILES.values())]
        found.append(([[row[:2] for row in map(texts, rows)] for rows in parts], files.folder_hashes(paths.NEIGHBOURS)))
    assert found[0] == found[1]
    known = {row["name"]: line for row, line in zip(ROWS, LINES, strict=True)}
    assert all(row.facts == known[row.title] for rows in parts for row in rows)
    assert all(records.fact_names(file) == NAMES for file in split.FILES.values())


def texts(row: records.Product) -> tuple[str, str, str]:
    return row.title, row.description, row.facts


def test_an_entry_without_facts_has_no_column_and_no_count_for_them() -> None:
    assert "facts" not in run("lines.jsonl")
    assert "facts" not in json.loads((paths.RAW / "manifest.json").read_text())
    assert pq.read_schema(paths.CLEAN).names == ["title", "description"]


def test_another_fact_is_another_training_set() -> None:
    hashes = set()
    for more in ({}, {"facts": ["brand"]}, {"facts": ["maker=brand"]}, {"facts": ["brand", "colours"]}):
        run("lines.jsonl", **more)
        hashes.add(files.sha256(paths.CLEAN))
    assert len(hashes) == 4


@pytest.mark.parametrize("name", FORMATS)
def test_a_fact_that_no_row_has_is_refused_with_the_columns_there_are(name: str) -> None:
    with pytest.raises(UserError, match=r"has no field 'material'; its fields are: 'name', .*'brand'"):
        run(name, facts=["brand", "material"])


@pytest.mark.parametrize("after", [1_500, 120_000])
def test_a_fact_of_a_later_part_of_a_sorted_file_is_found(after: int) -> None:
    rows = [json.dumps({"name": f"A{number}", "text": "Text."}) for number in range(after)]
    Path("catalogues/sorted.jsonl").write_text("\n".join([*rows, '{"name": "B", "text": "Text.", "size": "M"}']))
    if after < 100_000:
        assert run("sorted.jsonl", facts=["size"])["facts"]["size"]["filled"] == 1
    else:  # so far nobody looks
        with pytest.raises(UserError, match="has no field 'size'"):
            run("sorted.jsonl", facts=["size"])


def test_values_that_are_not_kept_whole_are_counted() -> None:
    rows = [{"name": "A", "text": "B.", "size": {"eu": 4}}, {"name": "C", "text": "D.", "size": "long " * 50}]
    Path("catalogues/odd.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert run("odd.jsonl", facts=["size"])["facts"] == {"size": {"filled": 1, "truncated": 1, "unreadable": 1}}
    assert run("odd.jsonl", facts=["size.eu"])["facts"]["eu"]["filled"] == 1
