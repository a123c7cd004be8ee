"""A working folder with a trained adapter."""

from pathlib import Path
from typing import Any

import pytest

from stages import train_qlora
from tests.conftest import ROOT
from tests.generation.test_generate import prepare


@pytest.fixture
def trained(room: Path) -> Any:
    """The params of a working folder with a trained adapter."""
    (room / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    p = prepare(room, epochs=3, learning_rate=0.02)
    train_qlora.run(p)
    return p
