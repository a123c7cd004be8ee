"""A catalogue in Portuguese, Russian and Japanese goes through every stage, and is scored by what it is written in."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from copywriter import paths, records
from stages import (
    analyze_lengths,
    baseline,
    clean,
    compare,
    evaluate,
    report,
    retrieve,
    sample,
    split,
    train_qlora,
)
from tests.conftest import ROOT, changed, room_in
from tests.support import languages
from tests.support.reported_run import write
from tests.support.training import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Path]:
    """A working folder after clean to report, on the rows of all three languages."""
    folder = tmp_path_factory.mktemp("languages")
    with pytest.MonkeyPatch.context() as patch:
        room_in(folder, tiny_base, patch)
        limits = {"max_length": 192, "max_prompt_length": 128, "retrieval__max_length": 64}
        p = changed(**{**SMALL, **limits, "epochs": 1, "retrieval__neighbours": 1, "decoding__max_new_tokens": 16})
        (folder / "params.yaml").write_text(yaml.safe_dump(p.model_dump(), allow_unicode=True), encoding="utf-8")
        shutil.copy(ROOT / "sources.yaml", folder)
        pin = paths.BASE / "pin.json"
        write(pin, json.loads(pin.read_text()) | {"model": p.model})
        lines = [json.dumps({"title": title, "content": text}) for title, text in languages.rows()]
        paths.RAW.mkdir(parents=True)
        (paths.RAW / "rows.json").write_text("\n".join(lines))
        named = {"dataset": p.dataset, "title": "title", "description": "content", "licence": "mine"}
        write(paths.RAW / "manifest.json", {"files": {"rows.json": {}}, **named})
        clean.run(p)
        sample.run(p)
        split.run(p)
        retrieve.run()
        analyze_lengths.run(p)
        train_qlora.run(p)
        baseline.run()
        for side in ("base", "tuned"):
            evaluate.run(side, p)
        compare.run(p)
        report.run(p)
        yield folder


def test_scores_measure_every_script(run: Path) -> None:
    found = json.loads((run / paths.scores("nearest")).read_text())
    assert 0 < found["rougeL"] < 100 and 0 < found["chrf"] < 100
    assert any("tokenizer:unicode" in line or "why:" in line for line in found["signatures"]), found["signatures"]


def test_the_report_shows_the_languages_texts(run: Path) -> None:
    pages = (run / paths.REPORT).read_text(encoding="utf-8") + (run / paths.REPORT_PAGE).read_text(encoding="utf-8")
    titles = [row.title for row in records.read_products(run / paths.TEST)]
    assert len(titles) >= 5
    assert "why:" in pages
    for title in titles[:5]:
        assert title.split()[0] in pages


def test_no_family_is_on_two_sides(run: Path) -> None:
    titles = [{row.title for row in records.read_products(run / file)} for file in (paths.TRAIN, paths.TEST)]
    assert not titles[0] & titles[1]
