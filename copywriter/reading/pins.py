"""Entries of sources.yaml as text: the lines to paste for a file, and how --pin writes or renews one."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from copywriter import files, params, sources
from copywriter.errors import UserError

NOT_TEXT = {"on", "off", "yes", "no", "y", "n", "true", "false", "null", "none", "nan", "inf"}


def name_for_file(file: str) -> str:
    """A name for the entry of a file, from the first part of the file's own name."""
    return name_for(file.replace("\\", "/").rstrip("/").rpartition("/")[2].split(".")[0])


def name_for(wanted: str) -> str:
    """The name of an entry that is nearest to what is wanted: lower-case letters, digits and '-'.

    A name that YAML or `dvc exp run -S dataset=...` would read as another value, such as `off`, `2024` or `1e5`,
    gets a prefix; so does every name that begins with a digit.
    """
    letters = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", letters).strip("-") or "my-shop"
    return f"shop-{name}" if name in NOT_TEXT or name[0].isdigit() else name


Value = str | int | Sequence[str]


def entry_lines(name: str, entry: Mapping[str, Value]) -> list[str]:
    """An entry as the lines to paste into sources.yaml."""
    return [f"  {name}:", *(f"    {key}: {_scalar(key, value)}" for key, value in entry.items())]


def _scalar(key: str, value: Value) -> str:
    if isinstance(value, list | tuple):
        listed = yaml.safe_dump(list(value), default_flow_style=True, allow_unicode=True, width=math.inf)
        return listed.rstrip("\n")
    if isinstance(value, str) and (key == "sha256" or not value.isprintable()):
        return yaml.safe_dump(value, default_style='"', width=math.inf).rstrip("\n")
    return yaml.safe_dump(value, allow_unicode=True, width=math.inf).split("\n")[0]


def renew(page: Path, name: str, entry: Mapping[str, Value]) -> str:
    """Writes an entry into sources.yaml, or only its new SHA-256 if it is there; what was done.

    UserError when it is there and differs in more, or the page is laid out in another way than the project's own.
    """
    before = sources.load(page)
    new, known = params.check(sources.File, entry, f"entry {name}"), before.datasets.get(name)
    lines = page.read_text(encoding="utf-8").split("\n")
    if known is None:
        done, lines = "added to", _added(lines, name, entry)
    else:
        for key in [key for key in type(new).model_fields if key not in ("sha256", "licence")]:
            there, wanted = getattr(known, key, None), getattr(new, key)
            if there != wanted:
                raise UserError(
                    f"{name} of {page} has {key}: {_said(there)}, not {_said(wanted)}, and --pin renews a hash alone; "
                    "give --pin another name, or correct the entry by hand"
                )
        done = "unchanged in" if known.sha256 == new.sha256 else "renewed in"
        lines = _renewed(lines, name, str(entry["sha256"]))
    text = "\n".join(lines)
    pinned = (known or new).model_copy(update={"sha256": new.sha256})
    if _content(text) != before.model_copy(update={"datasets": {**before.datasets, name: pinned}}):
        raise UserError(f"{page} could not be edited by a program; put the entry above into it by hand")
    with files.new_file(page) as aside:
        aside.write_text(text, encoding="utf-8")
    return f"{name}: {done} {page}"


def _said(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _content(text: str) -> sources.Sources | None:
    try:
        return params.check(sources.Sources, yaml.safe_load(text), "")
    except (yaml.YAMLError, UserError):
        return None


def _added(lines: list[str], name: str, entry: Mapping[str, Value]) -> list[str]:
    at = next((number for number, line in enumerate(lines) if re.match(r"datasets:\s*(#.*)?$", line)), len(lines) - 1)
    return [*lines[: at + 1], *entry_lines(name, entry), "", *lines[at + 1 :]]


def _renewed(lines: list[str], name: str, sha256: str) -> list[str]:
    start = next((n for n, line in enumerate(lines) if re.match(rf"  {name}:\s*(#.*)?$", line)), len(lines))
    end = next((n for n in range(start + 1, len(lines)) if re.match(r" {0,2}[^\s#]", lines[n])), len(lines))
    new = f'sha256: "{sha256}"'
    for number in range(start, end):
        if match := re.match(r"(    )sha256:[^#]*?(\s*#.*)?$", lines[number]):
            return [*lines[:number], match[1] + new + (match[2] or ""), *lines[number + 1 :]]
    return [*lines[: start + 1], f"    {new}", *lines[start + 1 :]]
