"""The commands behind `make`: check of dvc.lock, time estimate, demo, comparison."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from copywriter import paths
from copywriter.errors import UserError
from tests.conftest import ROOT, changed
from tools import compare, demo, lock, time_estimate

DRY = """Stage 'fetch' didn't change, skipping
Running stage 'clean':
> python -m stages.clean

Running stage 'evaluate@base':
> python -m stages.evaluate base
"""


PIPELINE: dict[str, Any] = {
    "stages": {"fetch": {}, "train_qlora": {}, "evaluate": {"foreach": {"base": {}, "tuned": {}}}}
}


def test_a_data_stage_must_hold_and_the_others_once_they_are_locked() -> None:
    assert lock.expected(PIPELINE, []) == (["fetch"], ["train_qlora", "evaluate@base", "evaluate@tuned"])
    locked = ["train_qlora", "evaluate@base"]
    assert lock.expected(PIPELINE, locked) == (["fetch", "train_qlora", "evaluate@base"], ["evaluate@tuned"])


def test_what_dvc_would_run_is_stale() -> None:
    assert lock.stale(DRY) == ["clean", "evaluate@base"]
    assert lock.stale("Data and pipelines are up to date.\n") == []
    with pytest.raises(UserError, match="not understood"):
        lock.stale("")


def test_the_time_estimate_grows_with_the_work() -> None:
    hours = time_estimate.cpu_hours(changed())
    assert 10 < hours < 200
    assert time_estimate.cpu_hours(changed(epochs=6)) > hours
    assert time_estimate.cpu_hours(changed(epochs=0)) < hours / 2
    assert "make demo" in time_estimate.work()


@pytest.mark.parametrize(
    ("measured", "tokens"),
    [
        ({"rows": 10, "epoch": {"tokens": 2_000}}, 80 * 200),
        ({"rows": 10, "epoch": {"tokens": 9_000}}, 80 * 525),  # measured with a larger max_length
        ({"rows": 10}, 80 * time_estimate.TOKENS_PER_ROW),
        (None, 80 * time_estimate.TOKENS_PER_ROW),
    ],
)
def test_the_time_estimate_uses_the_row_lengths_measured_last(
    measured: dict[str, Any] | None, tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copywriter.paths.LENGTHS", tmp_path / "lengths.json")
    if measured:
        (tmp_path / "lengths.json").write_text(json.dumps(measured))
    assert time_estimate.tokens_per_epoch(changed(sample__size=100)) == tokens


def test_the_demo_changes_keys_that_exist_to_values_that_fit() -> None:
    settings = {key.replace(".", "__"): value for key, value in demo.SMALL.items()}
    p = changed(**settings)
    assert p.max_response_length >= p.decoding.max_new_tokens


@pytest.mark.parametrize("key", ["sample.size", "epochs"])
def test_the_demo_is_smaller_than_the_experiment(key: str) -> None:
    whole = changed().model_dump()
    value = whole["sample"]["size"] if key == "sample.size" else whole[key]
    assert demo.SMALL[key] < value


def test_the_demo_says_how_to_name_oneself_to_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for key in ("user.name", "user.email"):
        with pytest.raises(SystemExit, match=rf"Git has no {key}, .* type git config --global {key}"):
            demo.needs_identity()
        git("config", "--global", key, "me@example.com")
    demo.needs_identity()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which a run with epochs: 0 is a commit, one of another base and a trained one follow."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    (tmp_path / "metrics").mkdir()
    for base, tuned in (("1", "1"), ("2", "2"), ("1", "3")):
        paths.scores("base").write_text(f'{{"bleu": {base}}}')
        paths.scores("tuned").write_text(f'{{"bleu": {tuned}}}')
        git("add", "-A")
        git("commit", "-q", "-m", f"{base} {tuned}")
    return tmp_path


def git(*words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_revision_that_holds_the_base_is_found_by_its_scores(history: Path) -> None:
    assert git("rev-parse", "HEAD~2").startswith(compare.holds_base())
    git("update-ref", "refs/exps/ab/cdef/base", "HEAD~2")
    git("checkout", "-q", "--orphan", "fresh")
    git("branch", "-q", "-D", "main")
    assert git("rev-parse", "refs/exps/ab/cdef/base").startswith(compare.holds_base())  # an experiment will do


def test_without_such_a_revision_the_command_to_type_is_named(history: Path) -> None:
    paths.scores("base").write_text('{"bleu": 4}')
    with pytest.raises(UserError, match="dvc exp run --temp -n base -S epochs=0"):
        compare.holds_base()
    paths.scores("base").unlink()
    with pytest.raises(UserError, match=r"metrics/base\.json is missing; run 'dvc repro evaluate'"):
        compare.holds_base()


def test_a_stages_memory_peak_excludes_the_parent_process() -> None:
    code = "from copywriter import stage; print(stage._peak_mib())"
    start = f"held = b'x' * 900_000_000; import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    done = subprocess.run([sys.executable, "-c", start], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < 500
