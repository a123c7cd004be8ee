"""docs/colab.ipynb is the page docs/colab.md, and runs on a CPU with stand-ins for Colab's modules and for pip."""

import csv
import json
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from copywriter.errors import UserError
from tests.conftest import ROOT
from tests.test_pipeline import shop_checkout
from tools import colab

PAGE = (ROOT / colab.PAGE).read_text(encoding="utf-8")
COLAB = {  # modules of Colab
    "drive": "import pathlib\ndef mount(path):\n    pathlib.Path(path, 'MyDrive').mkdir(parents=True, exist_ok=True)\n",
    "files": """import os, pathlib, shutil
CONTENT = pathlib.Path(os.environ["CONTENT"])
def upload():
    with open(CONTENT / "asked", "a") as log:
        log.write("upload\\n")
    return {"shop.csv": (CONTENT / "shop.csv").read_bytes()}
def download(path):
    shutil.copy(path, CONTENT / "downloads")
""",
}


def test_the_notebook_is_the_page() -> None:
    text = (ROOT / colab.NOTEBOOK).read_text(encoding="utf-8")
    assert text == colab.notebook(PAGE), "run 'python -m tools.colab'"
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert json.loads(text)["metadata"]["colab"]["gpuType"] == "T4"


def test_each_block_is_a_cell_and_shell_cells_stop_at_a_failure() -> None:
    first, python, second, shell = colab.cells("# A\n\n```python\nx = 1\n```\ntext\n```\na\nb\n```\n")
    assert [first["source"], second["source"]] == [["# A"], ["text"]]
    assert (python["cell_type"], python["source"]) == ("code", ["x = 1"])
    assert shell["source"] == ["%%bash -e\n", "a\n", "b"]


def test_other_blocks_and_other_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="has a block of yaml"):
        colab.cells("```yaml\na: 1\n```\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"docs/colab\.md is missing; run from the repository's root"):
        colab.run()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """Colab's /content: an upload waiting, stand-ins for Colab's modules and for pip."""
    with (tmp_path / "shop.csv").open("w", newline="") as file:
        things = [a + b for a in ("ba", "de", "fi", "go", "lu", "mi", "no", "pe") for b in ("cup", "rug", "lamp")]
        rows = [[f"{c} {thing}", f"The {thing} is {c}."] for c in ("red", "blue", "green", "black") for thing in things]
        csv.writer(file).writerows([["title", "description"], *rows])
    package = tmp_path / "modules/google/colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, code in COLAB.items():
        (package / f"{name}.py").write_text(code)
    pip = tmp_path / "bin/pip"
    pip.parent.mkdir()
    pip.write_text(f'#!/bin/sh\necho "$PWD: $@" >>{tmp_path}/pip.log\n')
    pip.chmod(0o755)
    (tmp_path / "downloads").mkdir()
    return tmp_path


def vm(content: Path, repository: Path, python: Path) -> tuple[NotebookClient, dict[str, Any]]:
    """The notebook on a new VM with an empty disk, and the keywords that execute it."""
    shutil.rmtree(content / "copywriter", ignore_errors=True)
    text = (ROOT / colab.NOTEBOOK).read_text(encoding="utf-8").replace("/content", str(content))
    text = text.replace("https://example.com/me/copywriter.git", str(repository)).replace(
        "save_steps=100", "save_steps=2"
    )
    text = text.replace('CATALOGUE = \\"\\"', 'CATALOGUE = \\"products.csv\\"')
    environment = {
        "PATH": os.pathsep.join([str(content / "bin"), str(python), str(Path(sys.executable).parent), "/usr/bin:/bin"]),
        "PYTHONPATH": os.pathsep.join([str(content / "modules"), os.environ.get("PYTHONPATH", "")]),
        "HOME": str(content),
        "CONTENT": str(content),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    client = NotebookClient(nbformat.reads(text, as_version=4), timeout=600, kernel_name="python3")
    return client, {"env": environment, "cwd": str(content)}


def kill_training(drive: Path, executed: Event) -> bool:
    """Ends the process that trains once it has kept a state, as a lost VM does; False if all is executed before."""
    runs = drive / "MyDrive/copywriter/runs/train"
    while not list(runs.glob("*/checkpoint-2/whole.json")):  # polls: there is no event to wait for
        if executed.wait(0.02):
            return False
    (writer,) = runs.glob("*/writer.json")
    os.kill(json.loads(writer.read_text())["pid"], signal.SIGKILL)
    return True


def printed(client: NotebookClient) -> str:
    return "".join(out.get("text", "") for cell in client.nb.cells for out in cell.get("outputs", []))


def test_it_trains_on_an_uploaded_catalogue_and_resumes_after_a_lost_vm(
    content: Path, tiny_base: Path, warm_folder: Path
) -> None:
    repository = shop_checkout(content / "git", tiny_base).folder
    lost, given = vm(content, repository, warm_folder)
    executed = Event()
    with ThreadPoolExecutor() as pool:
        killed = pool.submit(kill_training, content / "drive", executed)
        with pytest.raises(CellExecutionError, match="dvc exp run"):
            lost.execute(**given)
        executed.set()
    assert killed.result(), printed(lost)
    again, given = vm(content, repository, warm_folder)
    again.execute(**given)
    output = printed(again)
    assert "resumes from" in output and "rougeL" in output
    assert (content / "asked").read_text() == "upload\n"  # once: the second VM finds the file on Drive
    assert sorted(file.name for file in (content / "downloads").iterdir()) == ["adapter.zip", "report.html"]
    assert list((content / "drive/MyDrive/copywriter/adapters/files").rglob("*.dir"))
    assert (content / "pip.log").read_text().splitlines() == [
        f"{content}/copywriter: install -q -r requirements.txt"
    ] * 2
    assert again.nb.cells[-2].outputs == []
