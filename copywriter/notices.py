"""Licence texts that a base model's terms want beside every copy: of the model, of an adapter, of an export."""

from pathlib import Path

NOTICE = "NOTICE.txt"
TERMS = "TERMS"  # with the suffix of the published file


def write(notice: str | None, terms: Path | None, folder: Path) -> None:
    """Puts an entry's notice and the published terms into `folder`; nothing of a model without them."""
    if notice:
        (folder / NOTICE).write_text(f"{notice}\n", encoding="utf-8")
    if terms:
        (folder / f"{TERMS}{terms.suffix}").write_bytes(terms.read_bytes())


def copy(source: Path, to: Path) -> None:
    """Copies the notice and the terms in `source`, where there are any."""
    for file in sorted([*source.glob(NOTICE), *source.glob(f"{TERMS}.*")]):
        (to / file.name).write_bytes(file.read_bytes())
