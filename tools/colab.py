"""Writes docs/colab.ipynb from docs/colab.md: each fenced block is a cell, and the text between them.

`python -m tools.colab` after a change of the page; a test compares both. Blocks without a language are shell commands
and stop at the first that fails.
"""

import json
import re
from pathlib import Path
from typing import Any

from copywriter import files, stage
from copywriter.errors import UserError

PAGE, NOTEBOOK = Path("docs/colab.md"), Path("docs/colab.ipynb")
_FENCE = re.compile(r"^```(\w*)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_MAGIC = {"python": "", "": "%%bash -e\n"}


def cells(page: str) -> list[dict[str, Any]]:
    """The cells of a page; UserError for a block that is neither Python nor shell commands."""
    text, *blocks = _FENCE.split(page)
    found = [_cell("markdown", text)]
    for language, code, text in zip(blocks[::3], blocks[1::3], blocks[2::3], strict=True):
        if language not in _MAGIC:
            raise UserError(f"{PAGE} has a block of {language}; a notebook's cells are Python or shell commands")
        found.append(_cell("code", _MAGIC[language] + code) | {"execution_count": None, "outputs": []})
        if text.strip():
            found.append(_cell("markdown", text))
    return [{"id": f"cell-{number}"} | cell for number, cell in enumerate(found, 1)]


def _cell(kind: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source.strip().splitlines(keepends=True)}


def notebook(page: str) -> str:
    """The page as a notebook of nbformat 4.5 that asks Colab for a T4."""
    metadata = {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    content = {"cells": cells(page), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def run() -> str:
    """Writes the notebook; the summary line. UserError outside the repository's root."""
    if not PAGE.exists():
        raise UserError(f"{PAGE} is missing; run from the repository's root")
    with files.new_file(NOTEBOOK) as aside:
        aside.write_text(notebook(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return f"wrote {NOTEBOOK}"


def main() -> None:
    """Wires the command."""
    stage.run("colab", run)


if __name__ == "__main__":
    main()
