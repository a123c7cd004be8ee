"""JSON lines as rows: blocks of whole lines, which other processes parse; also lines in Python's notation."""

import ast
import codecs
import json
import re
import warnings
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import orjson

from copywriter.reading.fields import Fields, Record

BLOCK_BYTES = 4_000_000
MAX_LINE_BYTES = 50_000_000
MAX_PYTHON_CHARACTERS = 1_000_000  # its parser takes a hundred times the memory of what it parses
# Integers as floats: Python refuses to read an integer of more than 4,300 digits.
DECODER = json.JSONDecoder(parse_int=float)
PYTHON_DICT = re.compile(r"\{\s*'[^']*'\s*:")


def utf8_blocks(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The bytes of a text as UTF-8 without a byte order mark, about BLOCK_BYTES at a time; its lines end in \\n."""
    blocks = iter(partial(stream.read, BLOCK_BYTES), b"")
    if not encoding.startswith("utf-8"):
        decode = codecs.getincrementaldecoder(encoding)("replace").decode
        blocks = (decode(block).encode() for block in blocks)
    returns = False
    for number, block in enumerate(blocks):
        if not number:
            block = block.removeprefix(codecs.BOM_UTF8)
            returns = b"\n" not in block and b"\r" in block.strip()
        yield block.replace(b"\r", b"\n") if returns else block


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
    """What a line holds as JSON, or None; NaN, huge numbers, lone surrogates and broken UTF-8 are read too.

    So are the dicts that Python prints, `{'title': "It's red"}`: older Amazon data sets come in this form.
    """
    text = line.decode("utf-8", "replace").strip()
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return _python_dict(text) if len(text) <= MAX_PYTHON_CHARACTERS and PYTHON_DICT.match(text) else None


def first_lines(text: str) -> list[str]:
    """The first lines of a text but for blank ones."""
    lines = re.split(r"[\n\r]", text[:1_000_000], maxsplit=100)
    return [line for line in lines[:100] if line and not line.isspace()]


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return line.lstrip().startswith("{") and isinstance(orjson.loads(line), dict)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return False


class _WithoutNaN(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(None) if node.id in ("nan", "inf") else node


def _python_dict(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes that escape nothing
            tree = ast.parse(text, mode="eval")
            return ast.literal_eval(_WithoutNaN().visit(tree) if "nan" in text or "inf" in text else tree)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _objects(lines: bytes) -> Iterator[dict[str, object]]:
    return (record.fields for record in read_lines(lines, 1) if record.fields is not None)
