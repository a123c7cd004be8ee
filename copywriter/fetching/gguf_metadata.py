"""The metadata of a GGUF file, in a second: the gguf package takes ten to fifty for a vocabulary of 262,144 tokens."""

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# Names of types by their number in the format.
_NUMBERS = ("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<?", None, None, "<u8", "<i8", "<f8")
_STRING, _ARRAY = 8, 9


def metadata(file: Path) -> dict[str, Any]:
    """The keys and values before a GGUF file's tensors: numbers, texts and lists of them.

    ValueError when it is no GGUF file of version 2 or 3, or is cut short.
    """
    with file.open("rb") as stream:
        magic, version, _, count = struct.unpack("<4sIQQ", _bytes(stream, 24))
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError(f"it begins with {magic!r}, version {version}, and is no GGUF file of version 2 or 3")
        return {_text(stream): _value(stream, _number(stream, 4)) for _ in range(count)}


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == _ARRAY:
        kind, count = _number(stream, 4), _number(stream, 8)
        return [_text(stream) for _ in range(count)] if kind == _STRING else _numbers(stream, kind, count)
    return _text(stream) if kind == _STRING else _numbers(stream, kind, 1)[0]


def _numbers(stream: BinaryIO, kind: int, count: int) -> list[Any]:
    name = _NUMBERS[kind] if kind < len(_NUMBERS) else None
    if name is None:
        raise ValueError(f"a value of its metadata has the type {kind}, which this project does not read")
    found: list[Any] = np.frombuffer(_bytes(stream, count * np.dtype(name).itemsize), name).tolist()
    return found


def _text(stream: BinaryIO) -> str:
    return _bytes(stream, _number(stream, 8)).decode("utf-8")


def _number(stream: BinaryIO, size: int) -> int:
    return int.from_bytes(_bytes(stream, size), "little")


def _bytes(stream: BinaryIO, count: int) -> bytes:
    damaged = count > 1 << 16 and count > os.fstat(stream.fileno()).st_size  # a length that no memory would hold
    found = b"" if damaged else stream.read(count)
    if damaged or len(found) < count:
        raise ValueError("it is cut short within its metadata")
    return found
