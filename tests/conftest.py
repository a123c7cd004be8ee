"""Fixtures and helpers of several folders of tests: a tiny base model, working folders, servers, changed params."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from copywriter import params
from tests.support import tiny
from tests.support.shared_process import handlers as handlers
from tests.support.shared_process import pytest_testnodedown as pytest_testnodedown
from tests.support.tiny import ROOT as ROOT
from tests.support.tiny import TEXTS as TEXTS
from tests.support.warm_python import warm_python

if not os.environ.get("COPYWRITER_TEST_GPU"):  # the same results on every machine
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["LC_ALL"] = "C.UTF-8"  # the same messages too


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama of random weights with a byte-level tokenizer and a chat template, pinned like models/base."""
    return tiny.base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def warm_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for PATH whose `python` starts stages without importing the large libraries again."""
    with warm_python(tmp_path_factory.mktemp("warm") / "bin", os.environ | {"HF_HUB_OFFLINE": "1"}) as folder:
        yield folder


# The files that take longest, longest first. They start first, so that no worker ends minutes after the other.
LONGEST = (
    *("tests/test_pipeline.py", "tests/tools/test_gpu_run.py", "tests/test_golden.py", "tests/stress/test_kill.py"),
    *("tests/stress/test_real_base.py", "tests/tools/test_colab.py", "tests/tools/test_find_python.py"),
    *("tests/remotes/test_remotes.py", "tests/checkpoints/test_checkouts.py", "tests/training/test_processes.py"),
    *("tests/training/test_faults.py", "tests/stages/test_train_qlora.py", "tests/stages/test_evaluate.py"),
    *("tests/benchmarks/test_benchmarks_quality.py", "tests/benchmarks/test_benchmarks_start.py"),
    *("tests/benchmarks/test_benchmarks_generate.py", "tests/page/test_browser.py", "tests/page/test_server.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves the tests of the longest files to the front."""
    rank = {(ROOT / name): number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


class Quiet:
    """A mixin for HTTP request handlers that write no log."""

    def log_message(self, *args: Any) -> None:
        """Writes nothing."""


ServerT = TypeVar("ServerT", bound=ThreadingHTTPServer)


@contextmanager
def served(server: ServerT) -> Iterator[ServerT]:
    """`server`, running in its own thread."""
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def room(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage's working folder with params.yaml, the tiny model in models/base, and runs/."""
    return room_in(tmp_path, tiny_base, monkeypatch)


def room_in(folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `folder` a stage's working folder, and the current one."""
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(base, folder / "models" / "base")
    return stand_in(folder, monkeypatch)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `folder` the current one, with its own runs/."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("copywriter.paths.RUNS", folder / "runs")
    monkeypatch.setattr("copywriter.paths.SPEED", folder / "runs" / "speed.json")
    return folder


def changed(**changes: Any) -> params.Params:
    """The committed params.yaml, without neighbours, with some keys changed; a dot is written as two underscores."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["retrieval"]["neighbours"] = 0  # tests about retrieval ask for them, and have files of neighbours
    for key, value in changes.items():
        *sections, name = key.split("__")
        place = content
        for section in sections:
            place = place[section]
        place[name] = value
    return params.check(params.Params, content, "params.yaml")
