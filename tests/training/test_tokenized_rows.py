"""Cached tokenized rows: equal to fresh ones, and used only when nothing that determines them has changed."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from copywriter import params, paths, records
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import tokenized_rows
from tests.conftest import changed
from tests.support.tiny import products
from tests.support.training import SMALL


@pytest.fixture
def rows(room: Path) -> Path:
    """Forty rows, one of which is too long and gets cut."""
    records.write_products(paths.TRAIN, [*products(40), records.Product("Long", "A long text. " * 40)])
    return paths.TRAIN


class Unasked(Prompter):
    """A prompter that must not be needed."""

    def examples(self, *args: Any) -> list[Example]:
        raise AssertionError("cached rows were tokenized again")


def made(rows: Path, p: params.Params, prompter: type[Prompter] = Prompter) -> list[Example]:
    return tokenized_rows.examples(rows, paths.BASE, prompter(load_tokenizer(paths.BASE), p), p)


def cached() -> list[Path]:
    return sorted((paths.RUNS / "tokens").iterdir())


def test_cached_rows_equal_fresh_ones(rows: Path) -> None:
    p = changed(**SMALL)
    products = records.read_products(rows)
    expected = Prompter(load_tokenizer(paths.BASE), p).examples(
        [row.title for row in products], [row.description for row in products]
    )
    assert expected[-1].cut
    assert made(rows, p) == expected
    again = made(rows, changed(**{**SMALL, "epochs": 7, "seed": 3, "lora__r": 4}), Unasked)
    assert again == expected
    assert type(again[0].input_ids[0]) is int
    assert len(cached()) == 1


def test_cached_rows_keep_their_tokens_without_loss(rows: Path) -> None:
    p = changed(**{**SMALL, "advanced__train_on_unsupported": False})
    found = made(rows, p)
    assert sum(bool(row.untrained) for row in found) == 40  # all but the one that states no number
    assert made(rows, p, Unasked) == found
    assert [dataclasses.replace(row, untrained=()) for row in found] == made(rows, changed(**SMALL))


@pytest.mark.parametrize("end", [0, 10, 3000, -1])
def test_an_incomplete_cache_file_is_replaced(rows: Path, end: int) -> None:
    p = changed(**SMALL)
    expected = made(rows, p)
    (file,) = cached()
    file.write_bytes(file.read_bytes()[:end])
    assert made(rows, p) == expected
    assert made(rows, p, Unasked) == expected


def test_a_damaged_cache_file_is_replaced(rows: Path) -> None:
    p = changed(**SMALL)
    expected = made(rows, p)
    (file,) = cached()
    content = bytearray(file.read_bytes())
    content[400] ^= 1
    file.write_bytes(content)
    assert made(rows, p) == expected


def test_whatever_decides_the_tokens_gives_another_key(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [tokenized_rows.key(rows, paths.BASE, changed(**SMALL))]

    def differs(p: params.Params) -> bool:
        found.append(tokenized_rows.key(rows, paths.BASE, p))
        return len(set(found)) == len(found)

    p = changed(**SMALL)
    assert differs(changed(**{**SMALL, "max_length": 97}))
    assert differs(changed(**{**SMALL, "max_prompt_length": 63}))
    assert differs(changed(**{**SMALL, "advanced__train_on_unsupported": False}))
    assert differs(changed(**SMALL, prompt__template="{question}{title}"))
    assert differs(changed(**SMALL, prompt__questions=["What?"]))
    settings = paths.BASE / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "note": 1}))
    assert differs(p)
    (paths.BASE / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert differs(p)
    records.write_products(rows, products(41))
    assert differs(p)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.0")
    assert differs(p)


def test_the_last_used_cache_files_stay(rows: Path) -> None:
    made(rows, changed(**SMALL))
    (first,) = cached()
    for at, length in enumerate(range(90, 96)):
        for file in cached():
            os.utime(file, (at, at))
        made(rows, changed(**SMALL), Unasked)  # used again: not the oldest
        made(rows, changed(**{**SMALL, "max_length": length}))
    assert len(cached()) == 6
    assert first in cached()


def test_a_full_disk_costs_only_the_next_run(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths.RUNS.mkdir()
    (paths.RUNS / "tokens").write_text("in the way")
    assert len(made(rows, changed(**SMALL))) == 41
    assert "tokenized rows are not cached" in capsys.readouterr().err
