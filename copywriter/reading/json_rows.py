"""JSON as rows: one object a line, in blocks of whole lines that are parsed elsewhere, or one array, streamed."""

import codecs
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import orjson

from copywriter.errors import UserError
from copywriter.reading.fields import Fields, Record
from copywriter.reading.layout import Layout

BLOCK_BYTES = 4_000_000
MAX_LINE_BYTES = 50_000_000
# Integers as floats: Python refuses to read an integer of more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=float)
_GAP = re.compile(r"[\s,]*")


def utf8_blocks(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The bytes of a text as UTF-8 without a byte order mark, about BLOCK_BYTES at a time."""
    blocks = iter(partial(stream.read, BLOCK_BYTES), b"")
    if not encoding.startswith("utf-8"):
        decode = codecs.getincrementaldecoder(encoding)("replace").decode
        blocks = (decode(block).encode() for block in blocks)
    for number, block in enumerate(blocks):
        yield block if number else block.removeprefix(codecs.BOM_UTF8)


def line_blocks(blocks: Iterator[bytes], fields: Fields) -> Iterator[tuple[int, bytes]]:
    """The number of its first line and whole lines, a block at a time; of a line over MAX_LINE_BYTES only so much."""
    first, rest = 1, b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block[: MAX_LINE_BYTES - len(rest)]
            continue
        if len(rest) >= MAX_LINE_BYTES:
            yield first, rest
            rest, block = b"", block[block.find(b"\n") :]
            end = block.rfind(b"\n") + 1
        lines, rest = rest + block[:end], block[end:]
        fields.look(_objects(lines))
        yield first, lines
        first += lines.count(b"\n")
    if rest:
        fields.look(_objects(rest))
        yield first, rest
    fields.require()


def read_lines(lines: bytes, first: int) -> Iterator[Record]:
    """The rows of some lines, of which `first` is the number of the first; blank lines are none."""
    for number, line in enumerate(lines.split(b"\n"), first):
        row: object = None
        try:
            if len(line) < MAX_LINE_BYTES:
                row = orjson.loads(line)
        except orjson.JSONDecodeError:
            if not line or line.isspace():
                continue
            row = parse(line)
        if isinstance(row, dict):
            yield Record(number, row)
        else:
            reason = "not a JSON object" if len(line) < MAX_LINE_BYTES else "too long"
            yield Record(number, None, reason, line[:1_000].strip()[:320].decode("utf-8", "replace")[:80])


def parse(line: bytes) -> object:
    """What a line holds as JSON, or None; NaN, huge numbers, lone surrogates and broken UTF-8 are read too."""
    try:
        return _DECODER.decode(line.decode("utf-8", "replace").strip())
    except (ValueError, RecursionError):
        return None


def _objects(lines: bytes) -> Iterator[dict[str, object]]:
    return (record.fields for record in read_lines(lines, 1) if record.fields is not None)


def read_array(stream: BinaryIO, layout: Layout, fields: Fields) -> Iterator[Record]:
    """The rows of one JSON array. UserError where it breaks: nothing says where the next row would begin."""
    decode = codecs.getincrementaldecoder(layout.encoding or "utf-8")("replace").decode
    text = decode(stream.read(BLOCK_BYTES)).lstrip("\ufeff").lstrip()
    at, number, more = 1, 0, text.startswith("[")
    while True:
        at = _GAP.match(text, at).end()  # type: ignore[union-attr]
        if text.startswith("]", at) and not more and not text[at + 1 :].strip():
            return
        try:
            row, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = len(text)  # half a row, or none
        if end < len(text):
            number, at = number + 1, end
            if isinstance(row, dict):
                fields.look((row,))
                yield Record(number, fields.needed_of(row))
            else:
                yield Record(number, None, "not a JSON object", repr(row)[:80])
        elif more and len(text) - at <= MAX_LINE_BYTES:
            block = stream.read(BLOCK_BYTES)
            text, at, more = text[at:] + decode(block, not block), 0, bool(block)
        else:
            raise UserError(
                f"{fields.file} is a JSON array that breaks at row {number + 1}: {text[at : at + 80]!r}; "
                "mend it, or write one object a line"
            )
