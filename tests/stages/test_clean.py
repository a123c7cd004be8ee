"""Every line read is kept or dropped for one named reason, and a wrong catalogue is refused with what to do."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from copywriter import files, params, records
from copywriter.cleaning import rules
from copywriter.errors import UserError
from copywriter.reading.tables import Chunk
from copywriter.records import Product
from stages import clean
from tests.conftest import ROOT, changed

FIELDS = {"title": "title", "description": "content"}


def line(title: object = "Tutu", content: object = "Three layers.", **more: object) -> bytes:
    return json.dumps({"title": title, "content": content, **more}).encode()


def cleaned(lines: Iterable[bytes], max_malformed: float = 1) -> tuple[list[Product], clean.Counts]:
    counts = clean.Counts()
    chunks = [Chunk("trn.json", 1, b"\n".join(lines))]
    given = params.Clean(max_malformed=max_malformed, without=[])
    kept = [row for table in clean.clean_rows(chunks, FIELDS, given, counts) for row in table.to_pylist()]
    return [Product(**row) for row in kept], counts


def dropped(*lines: bytes) -> dict[str, int]:
    """The reasons why lines were dropped that follow a good row."""
    _, counts = cleaned([line("First", "A good row."), *lines])
    assert counts.read == 1 + len(lines)
    assert counts.read == counts.kept + sum(counts.dropped.values())
    return {reason: count for reason, count in counts.dropped.items() if count}


MALFORMED = {
    "no JSON": (b"not JSON", "not a JSON object"),
    "half an object": (line()[:-3], "not a JSON object"),
    "a list": (b'["title", "content"]', "not a JSON object"),
    "a text": (b'"title"', "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "NaN": (b"NaN", "not a JSON object"),
    "a number as title": (line(1984), "not a text"),
    "a list with a number as description": (line(content=["One.", 2]), "not a text"),
    "nested deeply": (b"[" * 100_000, "not a JSON object"),
    "nested deeply in an object": (b'{"title":' * 100_000, "not a JSON object"),
    "two objects": (line() + line(), "not a JSON object"),
}


@pytest.mark.parametrize(("bad", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_lines(bad: bytes, reason: str) -> None:
    assert dropped(bad) == {reason: 1}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([line("")], "no title"),
        ([line(None)], "no title"),
        ([b'{"content": "A text."}'], "no title"),
        ([line("<p>&nbsp;--</p>")], "no title"),
        ([line(content="")], "no description"),
        ([line(content=None)], "no description"),
        ([line(content="<br/>\u200b.")], "no description"),
        ([line("Pink tutu", "<b>Pink</b> Tutu.")], "description repeats title"),
        ([line("Pink tutu", "<" * 100 + "b>" * 100)], "markup without end"),
        ([line("First", "A  good row.")], "duplicate pair"),
        ([line(" FIRST", "Another text.")], "duplicate title"),
    ],
)
def test_reasons(lines: list[bytes], reason: str) -> None:
    assert dropped(*lines) == {reason: len(lines)}


def test_of_one_title_the_first_row_is_kept() -> None:
    rows, counts = cleaned([line("Tutu", "One."), line("tutu", "Two."), line("tutu", "Two."), line("Tutu", "One.")])
    assert rows == [Product("Tutu", "One.")]
    assert {reason: count for reason, count in counts.dropped.items() if count} == {
        "duplicate title": 1,
        "duplicate pair": 2,
    }


@pytest.mark.parametrize(
    "good",
    [
        line(uid="x", weight=float("nan"), price=float("inf")),
        b'{"title": "Tutu", "content": "Three layers.", "target_ind": [' + b"9" * 10_000 + b"]}",
        b'{"title": "Bib", "title": "Tutu", "content": "Three layers."}',
        b'  {"title": "Tutu",\t"content": "Three\\u00a0layers."}',
        b'{"title": "Tutu", "content": "Three lay\xffers."}',
        b'{"title": "Tutu\\ud83d", "content": "Three layers.\\u0000"}',
    ],
)
def test_odd_rows_are_read(good: bytes) -> None:
    assert cleaned([good])[0] == [Product("Tutu", "Three layers.")]


def test_too_many_malformed_lines_show_three() -> None:
    bad = [b"\x1b[31mred" + b"x" * 200, b"second", "третья\u202e".encode(), b"fourth"]
    lines = [line(f"Tutu {number}") for number in range(75)] + bad
    assert len(cleaned(lines, 4 / 79)[0]) == 75
    with pytest.raises(UserError) as error:
        cleaned(lines, 0.05)
    message = str(error.value)
    assert "4 of 79 rows" in message
    assert "clean.max_malformed 0.05" in message
    assert r"trn.json line 76: '\x1b[31mred" + "x" * 72 + "'" in message
    assert r"line 78: 'третья\u202e'" in message
    assert "fourth" not in message
    assert message.isprintable()


def test_an_empty_catalogue_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        cleaned([])


def test_a_catalogue_without_a_good_row_is_refused_with_counts() -> None:
    with pytest.raises(UserError, match="every row was dropped: 0 of 3 rows kept; 1 no title; 2 no description"):
        cleaned([line(""), line(content=""), line(content=" ")])
    with pytest.raises(UserError, match="every row was dropped: 0 of 1 rows kept; 1 not a JSON object"):
        cleaned([b"x"])


def catalogue(contents: dict[str, bytes], **manifest: Any) -> Path:
    """data/raw as stages/fetch.py leaves it, in the working folder."""
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    for name, content in contents.items():
        (raw / name).write_bytes(content)
    fields = {"dataset": "mine", "title": "title", "description": "content", "licence": "mine", **manifest}
    (raw / "manifest.json").write_text(json.dumps({"files": {name: {} for name in contents}, **fields}))
    return raw


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written() -> tuple[list[Product], dict[str, Any]]:
    return records.read_products(Path("data/clean.parquet")), json.loads(Path("metrics/clean_counts.json").read_text())


def test_a_run_writes_rows_counts_and_examples() -> None:
    catalogue({"b.json": line("Bib", "Of <b>cotton</b>."), "a.json": line() + b"\r\n\r\n  \n" + line("") + b"\n"})
    assert clean.run(changed()) == "2 of 3 rows kept; 1 no title"
    rows, counts = written()
    assert rows == [Product("Tutu", "Three layers."), Product("Bib", "Of cotton.")]
    assert counts == {
        "read": 3,
        "kept": 2,
        "dropped": dict.fromkeys(clean.REASONS, 0) | {"no title": 1},
        "changed": dict.fromkeys(rules.RULES, 0) | {"tags": 1},
    }
    assert records.read_examples(Path("data/cleaning_examples.jsonl")) == [
        records.Example("tags", "Of <b>cotton</b>.", "Of cotton.")
    ]


def test_a_rule_that_is_left_out_changes_nothing_and_is_not_counted() -> None:
    catalogue({"rows": line("Bib", "Of <b>cotton</b> &amp; silk.")})
    clean.run(changed(clean__without=["tags", "glued"]))
    rows, counts = written()
    assert rows == [Product("Bib", "Of <b>cotton</b> & silk.")]
    assert counts["changed"] == {name: int(name == "entities") for name in rules.RULES if name not in ("tags", "glued")}
    with pytest.raises(UserError, match="names 'tag'; the rules that can be left out are lists, escapes, entities"):
        clean.run(changed(clean__without=["tag"]))


def test_a_rule_counts_a_row_once_and_rows_that_are_dropped_too() -> None:
    _, counts = cleaned(
        [line("<b>A</b>", "<b>B</b>"), line("<b>A</b>", "<b>B</b>"), line("<b>A</b>", "<p></p>"), b"<b>"]
    )
    assert counts.changed["tags"] == 3


def test_twenty_pairs_of_a_rule_are_shown_whichever_order_the_rows_have() -> None:
    lines = [line(f"Tutu {number}", f"<p>Layer {number}</p>") for number in range(50)]
    shown = cleaned(lines)[1].examples["tags"]
    assert len(shown) == 20
    assert cleaned(lines[::-1])[1].examples["tags"] == shown
    assert len({pair for _, pair in shown}) == 20


def test_any_number_of_processes_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copywriter.reading.json_rows.BLOCK_BYTES", 20_000)  # many chunks
    rows = [line(f"Tutu {n % 900}", f"<p>Layer {n}</p> &amp; it is soft.Warm") for n in range(1_000)]
    raw = catalogue({"b.jsonl": b"\n".join(rows), "a.jsonl": b"\n".join([*rows[::3], b"{}", b"x", line("A\ud83d")])})
    assert raw.stat()
    outputs = ("data/clean.parquet", "data/cleaning_examples.jsonl", "metrics/clean_counts.json")
    hashes = []
    for processes in (1, 2, 3):
        clean.run(changed(), processes=processes)
        hashes.append([files.sha256(Path(output)) for output in outputs])
    assert hashes[0] == hashes[1] == hashes[2]
    assert written()[1]["kept"] == 901


def test_fields_have_the_names_that_the_manifest_gives() -> None:
    catalogue({"rows": b'{"name": "Tutu", "text": "Pink."}'}, title="name", description="text")
    clean.run(changed())
    assert written()[0] == [Product("Tutu", "Pink.")]


def test_a_refused_catalogue_leaves_nothing_behind() -> None:
    catalogue({"rows": line() + b"\nbad\n"})
    with pytest.raises(UserError, match="rows line 2: 'bad'"):
        clean.run(changed())
    assert not list(Path("data").glob("*clean*"))
    assert not Path("metrics/clean_counts.json").exists()


def test_missing_files_are_named() -> None:
    with pytest.raises(UserError, match="data/raw is missing; run 'dvc repro fetch'"):
        clean.run(changed())
    raw = catalogue({"rows": line()})
    (raw / "rows").unlink()
    with pytest.raises(UserError, match=r"data/raw/rows is missing"):
        clean.run(changed())


@pytest.mark.parametrize("name", ["clean", "sample", "split"])
def test_the_stage_does_not_import_torch(name: str) -> None:
    code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
