"""A hundred thousand broken lines, and any bytes: nothing stops clean, and every row is kept or counted as dropped."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import params, records
from copywriter.cleaning import rules
from copywriter.reading.tables import Chunk
from stages import clean
from tests.conftest import ROOT
from tests.support.shop_files import JSON_ROW, JSON_VALUE

LINES = 105_000  # some are blank, and no rows
SEED = 20_261_122
MAX_MIB = 900  # of which the libraries take 150; the longest lines are 50 and 30 MB
NOUNS = ["bucket", "tutu", "lamp", "rug", "café table", "Größe-M-Hose", "cadeira de praia", "лампа", "茶碗", "👜"]
DIRT = [
    *(
        "&amp;amp;lt;b&gt;",
        "<b",
        "<!-- ",
        "-->",
        "<script>",
        "{color: red;}",
        "end.Start",
        "\\ud83d",
        "\\u0000",
        "\\\\",
    ),
    *(
        "Ã©â€™",
        "\u200b\u202e",
        "http://shop.example/a.b?c=",
        "--This is from the first edition.",
        "Copyright (c) 1999 A.",
    ),
    *(
        "['one', 'two']",
        "Make sure this fits by entering your model number.",
        " " * 50,
        "\\t\\n",
        "\ufffd",
        "<" * 60 + "b>" * 60,
    ),
]
JSON = [
    "null",
    "true",
    "0",
    "-1.5e3",
    "1e999",
    "9" * 5_000,
    "NaN",
    "-Infinity",
    "[]",
    '["a"]',
    "{}",
    '{"en": "Lamp"}',
    '""',
]
WRONG = [
    "",
    " ",
    "\r",
    "[]",
    "{}",
    "null",
    "NaN",
    '"text"',
    "1e400",
    "{'a': 1}",
    "title,content",
    "]",
    "#",
    '{"title"}',
]


def line(chance: Random, number: int) -> bytes:
    """A good row, or as good as dirt leaves it."""
    noun = chance.choice(NOUNS)
    dirt = [chance.choice(DIRT) for _ in range(chance.randrange(4))]
    content = " ".join([f"A {noun} of steel.", *dirt, f"Its number is {number % 7_000}."])
    return f'{{"title": "{noun} {number % 60_000}", "content": "{content}", "target_ind": [1, 2]}}'.encode()


def put(chance: Random, old: bytes, new: bytes) -> bytes:
    """The bytes with others in them, somewhere."""
    place = chance.randrange(len(old))
    return old[:place] + new + old[place:]


MUTATIONS: dict[str, Callable[[Random, bytes], bytes]] = {
    "untouched": lambda chance, row: row,
    "truncated": lambda chance, row: row[: chance.randrange(len(row))],
    "beheaded": lambda chance, row: row[chance.randrange(len(row)) :],
    "binary": lambda chance, row: chance.randbytes(chance.randrange(1, 200)),
    "binary inside": lambda chance, row: put(chance, row, chance.randbytes(chance.randrange(1, 9))),
    "a bit flipped": lambda chance, row: bytes(
        byte ^ (1 << chance.randrange(8) if place == len(row) // 2 else 0) for place, byte in enumerate(row)
    ),
    "nested": lambda chance, row: chance.choice([b"[", b'{"title":', b'[{"a":']) * chance.randrange(1, 3_000),
    "nested inside": lambda chance, row: row.replace(
        b"[1, 2]", b"[" * (deep := chance.choice([9, 900, 9_000])) + b"]" * deep
    ),
    "another type": lambda chance, row: row.replace(b'"content": "', b'"content": %b, "old": "' % pick(chance, JSON)),
    "a printed list": lambda chance, row: row.replace(b'"content": "A', b'"content": "[\'One.\', \'Two\']", "old": "A'),
    "a huge number": lambda chance, row: row.replace(b"[1, 2]", b"9" * chance.choice([400, 5_000])),
    "not a number": lambda chance, row: row.replace(
        b"[1, 2]", pick(chance, ["NaN", "[Infinity]", "-Infinity", "1e999"])
    ),
    "half a code point": lambda chance, row: row.replace(b" of steel", pick(chance, [r"\ud83d", r"\udc5c \ud83d"])),
    "a key twice": lambda chance, row: row[:-1] + b', "title": %b, "content": "Two."}' % pick(chance, JSON),
    "NUL": lambda chance, row: put(chance, row, chance.choice([b"\0", rb"\u0000"])),
    "broken UTF-8": lambda chance, row: put(
        chance, row, chance.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f"])
    ),
    "nothing of it": lambda chance, row: pick(chance, WRONG),
    "CRLF": lambda chance, row: row + b"\r",
    "BOM": lambda chance, row: b"\xef\xbb\xbf" + row if chance.random() < 0.5 else put(chance, row, b"\xef\xbb\xbf"),
    "UTF-16": lambda chance, row: row.decode().encode("utf-16"),
    "two rows": lambda chance, row: row + row,
    "a control": lambda chance, row: put(chance, row, chance.choice([b"\t", b"\x01", b"\x1b[31m", b"\x7f"])),
    "much": lambda chance, row: row.replace(b" of steel", pick(chance, DIRT) * chance.randrange(30)),
}


def pick(chance: Random, texts: list[str]) -> bytes:
    return chance.choice(texts).encode()


def test_a_hundred_thousand_mutated_lines(tmp_path: Path) -> None:
    chance = Random(SEED)
    names = list(MUTATIONS)
    made = Counter[str]()
    rows = 1
    (tmp_path / "raw").mkdir()
    with gzip.open(tmp_path / "raw/trn.json.gz", "wb", compresslevel=1) as stream:
        # So long that what the file is, JSON lines, is seen in it alone: so many broken lines would make it anything.
        stream.write(b'{"title": "First", "content": "A good row.", "notes": "' + b"long " * 1_000_000 + b'"}\n')
        for number in range(LINES):
            name = chance.choice(names)
            mutated = MUTATIONS[name](chance, line(chance, number)).replace(b"\n", b" ")
            made[name] += 1
            rows += bool(mutated.strip())
            stream.write(mutated + b"\n")
            if number == LINES // 3:  # too long a line, and one that is just not
                stream.write(b'{"title": "Long", "content": "' + b"long <b>" * 6_250_000 + b'"}\n')
                stream.write(b'{"title": "Longish", "content": "' + b"long. " * 5_000_000 + b'"}\n')
                rows += 2
    manifest = {"files": {"trn.json.gz": {}}, "title": "title", "description": "content"}
    (tmp_path / "raw/manifest.json").write_text(json.dumps(manifest))
    code = f"""
from pathlib import Path
from copywriter import params
from stages import clean
given = params.load()
given = given.model_copy(update={{"clean": params.Clean(max_malformed=1, without=[])}})
room = Path({str(tmp_path)!r})
clean.run(given, room / "raw", room / "rows", room / "shown", room / "counts", processes=1)
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the process that started this one
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / "counts").read_text())
    print(f"\n{sum(made.values()):,} lines in {len(made)} kinds, peak {done.stdout.strip()} MiB: {json.dumps(counts)}")
    assert counts["read"] == rows == counts["kept"] + sum(counts["dropped"].values())
    assert int(done.stdout) < MAX_MIB
    kept = records.read_products(tmp_path / "rows")
    assert len(kept) == counts["kept"] == len({row.title.casefold() for row in kept})
    assert [row.title for row in kept if len(row.description) > 1_000_000] == ["Longish"]
    assert counts["dropped"]["too long"] == 1
    assert all(counts["dropped"][reason] for reason in ("not a JSON object", "not a text", *rules.REASONS[:3]))
    assert all(counts["changed"][rule] for rule in ("broken", "lists", "entities", "tags", "spaces", "glued", "urls"))


def counted(lines: bytes) -> tuple[clean.Counts, list[dict[str, str]]]:
    """What clean makes of some bytes."""
    counts = clean.Counts()
    given = params.Clean(max_malformed=1, without=[])
    fields = {"title": "title", "description": "content"}
    # A good row first: a catalogue without one is refused.
    chunks = [Chunk("trn.json", 1, b'{"title": "First", "content": "A good row."}\n'), Chunk("trn.json", 2, lines)]
    kept = [row for table in clean.clean_rows(chunks, fields, given, counts) for row in table.to_pylist()]
    return counts, kept


json_line = (JSON_ROW | JSON_VALUE).map(lambda held: json.dumps(held).encode())
any_line = st.one_of(
    st.binary(max_size=80), json_line, st.sampled_from([part.encode() for part in DIRT + JSON + WRONG])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_line, max_size=12))
def test_any_bytes_and_any_json_are_counted(lines: list[bytes]) -> None:
    whole = b"\n".join(lines)
    counts, kept = counted(whole)
    assert counts.read == 1 + sum(bool(one.strip()) for one in whole.split(b"\n"))
    assert counts.read == counts.kept + sum(counts.dropped.values())
    assert counts.kept == len(kept)
    for one in kept:
        assert rules.reason(one["title"], one["description"]) is None
        assert rules.clean(one["title"]) == one["title"]
        assert rules.clean(one["description"]) == one["description"]


@pytest.mark.parametrize("depth", [1, 100, 100_000])
@pytest.mark.parametrize("inside", ['{"title": %s}', '{"title": "A", "content": "B", "x": %s}', "%s"])
def test_nesting_of_any_depth_is_a_row_or_malformed(depth: int, inside: str) -> None:
    counts, _ = counted((inside % ("[" * depth + "]" * depth)).encode())
    assert counts.read == 2 == counts.kept + sum(counts.dropped.values())
