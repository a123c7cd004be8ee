"""A metric is one file and one entry: everything that shows or compares scores follows from the two."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from copywriter import paths, records
from tests.conftest import ROOT
from tests.support import reported_run

TER = '''
"""Translation edit rate (Snover et al. 2006)."""

import numpy as np

from copywriter.evaluation.metric import Metric, Score, ratio


def count(rows, context):
    from sacrebleu.metrics.ter import TER

    found = TER()._extract_corpus_statistics([one.written for one in rows], [[one.reference for one in rows]])
    return np.rint(np.array(found)).astype(np.int64)


def combine(sums):
    return {"ter": 100 * ratio(sums["ter_edits"], sums["ter_words"])}


METRIC = Metric(
    name="ter",
    columns=("ter_edits", "ter_words"),
    scores=(
        Score("ter", "TER", better=-1, scale="points", verdict=True, hub="ter", explanation="**TER**: edits a word."),
    ),
    count=count,
    combine=combine,
    signature=lambda context: "TER|toy",
    pairs=True,
)
'''
# What the stages do after a model has written its texts.
SCORE = """
from copywriter import files, params, paths
from copywriter.evaluation import measure, metric, predictions, row_statistics, scores
from stages import baseline, compare, report, retrieve
retrieve.run()
baseline.run()
for side in ("base", "tuned"):
    rows = predictions.read(paths.predictions(side))
    found, signatures = measure.measure(rows, metric.Context().training_ngrams)
    row_statistics.write(paths.statistics(side), found)
    given = {"rows": len(rows), "signatures": signatures, "decoding": [], "scored": []}
    files.write_json(paths.scores(side), scores.rounded(found.sum(0)) | given)
p = params.load()
p = p.model_copy(update={"sample": p.sample.model_copy(update={"size": 10000})})
compare.run(p)
report.run(p)
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run scored and reported by a copy of the project that has one more metric."""
    code, folder = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("run")
    for name in ("copywriter", "stages"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    evaluation = code / "copywriter/evaluation"
    (evaluation / "metrics/ter.py").write_text(TER)
    registry = (evaluation / "registry.py").read_text()
    registry = registry.replace("    stopping,\n", "    stopping,\n    ter,\n")
    registry = registry.replace(
        "    unsupported_numbers.METRIC,\n", "    unsupported_numbers.METRIC,\n    ter.METRIC,\n"
    )
    (evaluation / "registry.py").write_text(registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        reported_run.write_run(folder)
        rows = [records.Product(one.title, one.reference) for one in reported_run.predictions("base")]
        records.write_products(paths.TEST, rows)
        records.write_products(paths.VALIDATION, rows)
        records.write_products(paths.TRAIN, [records.Product("Steel bucket", "It holds ten litres.")])
    environment = {"PYTHONPATH": str(code), "PATH": "", "HOME": str(folder)}
    done = subprocess.run([sys.executable, "-c", SCORE], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_its_scores_and_signature_are_in_the_metrics_files(scored: Path) -> None:
    found = json.loads((scored / paths.scores("tuned")).read_text())
    assert found["ter"] == 150.0  # "Written by tuned 7." for "Reference 7.": three edits for two words
    assert found["signatures"][-1] == "TER|toy"
    assert "ter" in json.loads((scored / paths.scores("nearest")).read_text())


def test_it_is_compared_and_part_of_the_verdict(scored: Path) -> None:
    found = json.loads((scored / paths.COMPARISON).read_text())
    assert found["tuned_against_nearest"]["scores"]["ter"]["outcome"] == "better"  # lower than the baseline's
    assert "TER" in found["tuned_against_nearest"]["verdict"]
    assert found["method"]["verdict_by"] == [
        "bleu",
        "rouge1",
        "rouge2",
        "rougeL",
        "chrf",
        "nll",
        "unconfirmed_per_100_words",
        "ter",
    ]
    assert "ter" in found["intervals"]["base"]
    assert "TER" in (scored / paths.SCORE_BARS).read_text()
    slices = json.loads((scored / paths.SLICES).read_text())["slices"]
    assert all("ter" in one["base to tuned"] for one in slices)


def test_it_is_in_the_report_and_the_model_card(scored: Path) -> None:
    text = (scored / paths.REPORT).read_text()
    assert "| TER |" in text and "- **TER**: edits a word." in text and "- `TER|toy`" in text
    page = (scored / paths.REPORT_PAGE).read_text()
    assert "TER ↓" in page and "TER: base" in page and "<title>TER, tuned: 150.00" in page
    card = (scored / paths.MODEL_CARD).read_text()
    assert "| TER |" in card and "type: ter" in card
