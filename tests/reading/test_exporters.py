"""Files in each exporter's published layout: the right columns are chosen and the right rows kept, without options."""

from pathlib import Path

import pytest

from copywriter.reading import columns, profile
from tests.support.exporters import EXPORTS


@pytest.mark.parametrize("name", EXPORTS)
def test_an_exporters_file_is_read_without_options(tmp_path: Path, name: str) -> None:
    export = EXPORTS[name]
    (tmp_path / export.file).write_bytes(export.content)
    sample = profile.draw(tmp_path / export.file, {})
    total, found = profile.columns(sample)
    title, description = columns.choose(found)
    assert (total, title.name, description.name) == (export.rows, export.title, export.description)
    if export.description:
        assert profile.judge(sample, export.title, export.description).kept == export.kept
