"""State outlives the checkout that made it: two clones agree in every hash, a lost one goes on, a queue extends."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_pipeline import Checkout, shop_checkout

GIVEN: dict[str, Any] = {"save_steps": 2, "micro_batch_size": 4}


def trained(lock: str) -> dict[str, str]:
    """The hashes of what train_qlora left, by a dvc.lock's content."""
    return {out["path"]: out["md5"] for out in yaml.safe_load(lock)["stages"]["train_qlora"]["outs"]}


def lock(made: Checkout) -> str:
    return (made.folder / "dvc.lock").read_text()


def begin_and_lose(made: Checkout) -> None:
    """Kills `dvc repro` and its training once that has kept a state, and deletes the checkout."""
    command = [sys.executable, "-m", "dvc", "repro", "train_qlora"]
    process = subprocess.Popen(
        command,
        cwd=made.folder,
        env=made.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    runs = Path(made.environment["COPYWRITER_RUNS"])
    while not list(runs.glob("train/*/checkpoint-2/whole.json")):  # polls: there is no event to wait for
        assert process.poll() is None, "the training ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Checkout:
    """A clone that trains three epochs without a break."""
    made = shop_checkout(tmp_path_factory.mktemp("first"), tiny_base, **GIVEN)
    made.dvc("repro", "train_qlora")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "three epochs")
    return made


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Checkout:
    """A clone that was lost in the middle of its training and made again, with the folder of runs left."""
    place = tmp_path_factory.mktemp("second")
    begin_and_lose(shop_checkout(place, tiny_base, **GIVEN))
    made = shop_checkout(place, tiny_base, **GIVEN)
    command = [sys.executable, "-m", "dvc", "repro", "train_qlora"]
    done = subprocess.run(command, cwd=made.folder, env=made.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "goes on from" in done.stderr
    return made


def test_two_clones_one_of_them_lost_and_made_again_have_equal_locks(first: Checkout, second: Checkout) -> None:
    assert lock(first) == lock(second)


def test_a_queued_experiment_extends_three_epochs_to_five(first: Checkout, second: Checkout) -> None:
    (state,) = Path(first.environment["COPYWRITER_RUNS"]).glob("train/*")
    first.dvc("exp", "run", "--queue", "-n", "five", "-S", "epochs=5", "train_qlora")
    first.dvc("exp", "run", "--run-all")
    assert "goes on from" in first.dvc("queue", "logs", "five")
    assert [state] == list(state.parent.iterdir())
    shutil.rmtree(second.environment["COPYWRITER_RUNS"])
    second.dvc("exp", "run", "-S", "epochs=5", "train_qlora")
    assert trained(first.experiment("five", "dvc.lock")) == trained(lock(second))
