"""Every test of the report runs in a folder with the files of a run."""

from pathlib import Path

import pytest

from tests.support import reported_run


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the report reads, 40 test titles."""
    monkeypatch.chdir(tmp_path)
    reported_run.write_run(tmp_path)
    return tmp_path
