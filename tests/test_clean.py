"""Every line read is kept or dropped for one named reason, and a wrong catalogue is refused with what to do."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import records
from copywriter.records import Product
from copywriter.stage import UserError
from stages import clean
from tests.conftest import ROOT, changed


def line(title: object = "Tutu", content: object = "Three layers.", **more: object) -> bytes:
    return json.dumps({"title": title, "content": content, **more}).encode()


def cleaned(lines: Iterable[bytes], max_malformed: float = 1) -> tuple[list[Product], clean.Counts]:
    counts = clean.Counts()
    numbered = (clean.Line("trn.json", number, content) for number, content in enumerate(lines, 1))
    return list(clean.clean_rows(numbered, "title", "content", max_malformed, counts)), counts


def dropped(*lines: bytes) -> dict[str, int]:
    """The reasons why lines were dropped that follow a good row."""
    _, counts = cleaned([line("First", "A good row."), *lines])
    assert counts.read == 1 + len(lines)
    assert counts.read == counts.kept + sum(counts.dropped.values())
    return {reason: count for reason, count in counts.dropped.items() if count}


MALFORMED = {
    "no JSON": b"not JSON",
    "half an object": line()[:-3],
    "a list": b'["title", "content"]',
    "a text": b'"title"',
    "null": b"null",
    "NaN": b"NaN",
    "a number as title": line(1984),
    "a list as description": line(content=["One.", "Two."]),
    "nested deeply": b"[" * 100_000,
    "nested deeply in an object": b'{"title":' * 100_000,
    "UTF-16": line().decode().encode("utf-16"),
    "two objects": line() + line(),
}


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED)
def test_malformed_lines(bad: bytes) -> None:
    assert dropped(bad) == {"malformed line": 1}


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


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 80), st.binary(max_size=4), st.integers(0, 4)), max_size=20)
)
def test_counts_add_up_whatever_the_lines(mutations: list[tuple[int, int, bytes, int]]) -> None:
    base = [line(), line("Bucket", "Ten litres &amp; a lid.<br>"), line("Lâmpada", "É boa."), b'{"title": null}']
    lines = [base[i][:at] + new + base[i][at + gone :] for i, at, new, gone in mutations]
    rows, counts = cleaned([line("First", "A good row."), *lines])
    assert counts.read == 1 + len(lines)
    assert counts.kept == len(rows) == len({row.title.casefold() for row in rows})
    assert counts.read == counts.kept + sum(counts.dropped.values())
    assert set(counts.dropped) == set(clean.REASONS)


def test_too_many_malformed_lines_show_three() -> None:
    bad = [b"\x1b[31mred" + b"x" * 200, b"second", "третья\u202e".encode(), b"fourth"]
    lines = [line(f"Tutu {number}") for number in range(75)] + bad
    assert len(cleaned(lines, 4 / 79)[0]) == 75
    with pytest.raises(UserError) as error:
        cleaned(lines, 0.05)
    message = str(error.value)
    assert "4 of 79 lines" in message
    assert "clean.max_malformed 0.05" in message
    assert r"trn.json line 76: '\x1b[31mred" + "x" * 72 + "'" in message
    assert r"line 78: 'третья\u202e'" in message
    assert "fourth" not in message
    assert message.isprintable()


def test_a_missing_field_lists_those_there() -> None:
    rows = (json.dumps({"name": f"Tutu {number}", "text": "Pink."}).encode() for number in range(3))
    with pytest.raises(UserError, match="no field 'title' and no field 'content'; its fields are: 'name', 'text'"):
        cleaned(rows)


def test_a_missing_field_is_known_after_a_thousand_rows() -> None:
    def lines() -> Iterable[bytes]:
        for number in range(10_000):
            assert number < 1_000
            yield json.dumps({"title": str(number), "text": "Pink."}).encode()

    with pytest.raises(UserError, match="no field 'content'"):
        cleaned(lines())


def test_a_field_that_comes_late_is_no_mistake() -> None:
    rows, counts = cleaned([b'{"title": "Bib"}'] * 999 + [line()])
    assert (len(rows), counts.dropped["no description"]) == (1, 999)


def test_an_empty_catalogue_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        cleaned([])


def test_a_catalogue_without_a_good_row_is_refused_with_counts() -> None:
    with pytest.raises(UserError, match="every row was dropped: 0 of 3 rows kept; 1 no title; 2 no description"):
        cleaned([line(""), line(content=""), line(content=" ")])
    with pytest.raises(UserError, match="every row was dropped: 0 of 1 rows kept; 1 malformed line"):
        cleaned([b"x"])


def catalogue(files: dict[str, bytes], **manifest: Any) -> Path:
    """data/raw as stages/fetch.py leaves it, in the working folder."""
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    fields = {"dataset": "mine", "title": "title", "description": "content", "licence": "mine", **manifest}
    (raw / "manifest.json").write_text(json.dumps({"files": {name: {} for name in files}, **fields}))
    return raw


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written() -> tuple[list[Product], dict[str, Any]]:
    return records.read_products(Path("data/clean.parquet")), json.loads(Path("metrics/clean_counts.json").read_text())


def test_a_run_writes_rows_and_counts() -> None:
    catalogue({"b.json": line("Bib", "Of cotton."), "a.json": line() + b"\r\n\r\n  \n" + line("") + b"\n"})
    assert clean.run(changed()) == "2 of 3 rows kept; 1 no title"
    rows, counts = written()
    assert rows == [Product("Tutu", "Three layers."), Product("Bib", "Of cotton.")]
    assert counts == {"read": 3, "kept": 2, "dropped": dict.fromkeys(clean.REASONS, 0) | {"no title": 1}}


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_plain_and_gzipped_files_with_and_without_bom(bom: bytes, name: str) -> None:
    content = bom + line() + b"\n" + line("Bib")
    catalogue({name: gzip.compress(content) if name.endswith("gz") else content})
    clean.run(changed())
    assert [row.title for row in written()[0]] == ["Tutu", "Bib"]


def test_fields_have_the_names_that_the_manifest_gives() -> None:
    catalogue({"rows": b'{"name": "Tutu", "text": "Pink."}'}, title="name", description="text")
    clean.run(changed())
    assert written()[0] == [Product("Tutu", "Pink.")]


def test_a_line_too_long_is_malformed_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "MAX_LINE_BYTES", 1_000)
    full = line("Full", "x" * (999 - len(line("Full", ""))))  # with its end, just short enough
    catalogue({"rows": b"\n".join([full, line("Long", "x" * 5_000), line("Bib"), line("Long", "x" * 1_500)])})
    clean.run(changed(clean__max_malformed=0.5))
    rows, counts = written()
    assert [row.title for row in rows] == ["Full", "Bib"]
    assert (counts["read"], counts["dropped"]["malformed line"]) == (4, 2)


def test_a_refused_catalogue_leaves_nothing_behind() -> None:
    catalogue({"rows": line() + b"\nbad\n"})
    with pytest.raises(UserError, match="rows line 2: 'bad'"):
        clean.run(changed())
    assert not list(Path("data").glob("*clean*"))
    assert not Path("metrics/clean_counts.json").exists()


def test_missing_and_damaged_files_are_named() -> None:
    with pytest.raises(UserError, match="data/raw is missing; run 'dvc repro fetch'"):
        clean.run(changed())
    raw = catalogue({"rows.gz": gzip.compress(line() * 1_000)[:-20]})
    with pytest.raises(UserError, match=r"data/raw/rows.gz is damaged .* with 'dvc repro --force fetch'"):
        clean.run(changed())
    (raw / "rows.gz").unlink()
    with pytest.raises(UserError, match=r"data/raw/rows.gz is missing"):
        clean.run(changed())


@pytest.mark.parametrize("name", ["clean", "sample", "split"])
def test_the_stage_does_not_import_torch(name: str) -> None:
    code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
