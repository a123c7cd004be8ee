"""Training takes a base only with a tokenizer that passed its check and is read as it was then."""

import json
from pathlib import Path
from typing import Any

import pytest

from copywriter import files, paths, tokenizer_check
from copywriter.errors import UserError
from stages import train_qlora
from tests.conftest import changed


def pinned(**changes: Any) -> None:
    pin = paths.BASE / "pin.json"
    content = json.loads(pin.read_text())
    files.write_json(pin, content | {"tokenizer": content["tokenizer"] | changes})


def test_training_takes_a_checked_base(room: Path) -> None:
    tokenizer_check.require(paths.BASE)
    config = json.loads((paths.BASE / "config.json").read_text())
    (paths.BASE / "config.json").write_text(json.dumps(config))  # is none of the tokenizer's files
    tokenizer_check.require(paths.BASE)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_training_refuses_a_tokenizer_that_changed(room: Path, name: str) -> None:
    with (paths.BASE / name).open("a") as stream:
        stream.write("\n")
    with pytest.raises(UserError, match=r"files in models/base are not those .*; run 'dvc repro --force fetch_model'"):
        train_qlora.run(changed())


def test_training_refuses_a_base_without_the_check(room: Path) -> None:
    files.rewrite_json(paths.BASE / "pin.json", drop=("tokenizer",))
    with pytest.raises(UserError, match=r"pin\.json does not say that the tokenizer was checked; run 'dvc repro --fo"):
        train_qlora.run(changed())


def test_training_refuses_a_check_with_other_texts(room: Path) -> None:
    pinned(texts=3)
    with pytest.raises(UserError, match="was checked with other texts than today's; run 'dvc repro"):
        train_qlora.run(changed())


def test_training_refuses_a_library_that_reads_the_files_otherwise(room: Path) -> None:
    pinned(ids="0" * 64)
    with pytest.raises(
        UserError, match=r"transformers [\d.]+ reads the tokenizer in models/base otherwise than it was"
    ):
        train_qlora.run(changed())
