"""The stage writes its three pages all or nothing; equal input gives equal bytes."""

import json
from pathlib import Path

import pytest

from copywriter import paths
from copywriter.errors import UserError
from stages import report
from tests.conftest import changed
from tests.support import reported_run


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of a run."""
    monkeypatch.chdir(tmp_path)
    reported_run.write_run(tmp_path)
    return tmp_path


PAGES = (paths.REPORT, paths.REPORT_PAGE, paths.MODEL_CARD)


def test_equal_input_gives_equal_bytes(checkout: Path) -> None:
    written = []
    for _ in range(2):
        summary = report.run(changed(sample__size=10000))
        written.append([path.read_bytes() for path in PAGES])
    assert written[0] == written[1]
    assert "40 test titles in metrics/report.html, 20 of them in metrics/report.md" in summary


def test_inconsistent_files_leave_no_page(checkout: Path) -> None:
    counts = json.loads(paths.CLEAN_COUNTS.read_text())
    reported_run.write(paths.CLEAN_COUNTS, counts | {"read": 1})
    with pytest.raises(UserError, match="does not add up"):
        report.run(changed(sample__size=10000))
    assert not any(path.exists() for path in PAGES)
