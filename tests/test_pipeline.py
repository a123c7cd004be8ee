"""The whole pipeline through DVC on a small catalogue and a tiny model, in a copy of this checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from copywriter import files
from tests.conftest import ROOT

STAGES = ["fetch", "clean", "sample", "split", "retrieve", "fetch_model", "analyze_lengths", "train_qlora"]
STAGES += ["baseline", "evaluate@base", "evaluate@tuned", "compare", "report"]
SMALL = {
    "dataset": "small-shop",
    "model": "tiny",
    "max_length": 128,
    "max_prompt_length": 90,
    "epochs": 3,
    "learning_rate": 0.01,
    "save_steps": 4,
}


class Checkout:
    """A Git and DVC repository that holds a copy of the working tree."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "COPYWRITER_RUNS": str(runs), "HF_HUB_OFFLINE": "1"}
        tracked = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
        ).stdout.split()
        for name in tracked:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.git("init", "-q", "-b", "main")

    def warm(self, folder: Path) -> "Checkout":
        """This checkout; from now on its stages start with the `python` of `folder` (tests/support/warm_python.py)."""
        self.environment["PATH"] = f"{folder}{os.pathsep}{self.environment['PATH']}"
        return self

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        return self.run("git", *identity, *words)

    def dvc(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *words)

    def experiment(self, name: str, file: str) -> str:
        """The content of a tracked file in the experiment `name`."""
        refs = self.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
        return self.git("show", f"{next(ref for ref in refs if ref.endswith('/' + name))}:{file}")

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fails(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / name).read_text())
        return content


def ran(output: str) -> list[str]:
    """The stages that DVC ran, from its output."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def shop_checkout(place: Path, tiny_base: Path, **changes: Any) -> Checkout:
    """A committed checkout with a shop's file and a model in a local folder; `changes` to params.yaml."""
    made = Checkout(place / "copy", place / "runs")
    shop = made.folder / "catalogues/shop.jsonl"
    colours, things = ["red", "blue", "green", "black"], ["bucket", "tutu", "lamp", "rug", "cup"]
    names = [first + second for first in ("ba", "de", "fi", "go", "lu", "mi", "no", "pe") for second in things]
    rows = [  # without the names all rows would be one product in several colours
        {"name": f"{colour} {name} {thing}", "text": f"The {name} is a {colour} {thing}." + f" {name} it is." * (n % 3)}
        for colour, thing in zip(colours, things, strict=False)
        for n, name in enumerate(names)
    ]
    shop.write_text("\n".join(json.dumps(row) for row in rows) + '\nnot json\n{"name": "", "text": "no title"}\n')
    entries = yaml.safe_load((made.folder / "sources.yaml").read_text())
    entries["datasets"]["small-shop"] = {
        "kind": "file",
        "path": "catalogues/shop.jsonl",
        "sha256": files.sha256(shop),
        "title": "name",
        "description": "text",
        "licence": "none",
    }
    entries["models"]["tiny"] = {"kind": "folder", "path": str(tiny_base), "licence": "none"}
    (made.folder / "sources.yaml").write_text(yaml.safe_dump(entries))
    content = yaml.safe_load((made.folder / "params.yaml").read_text()) | SMALL | changes
    content["advanced"] |= {"eval_steps": 4, "log_steps": 1}
    content["decoding"] |= {"max_new_tokens": 20, "batch_size": 8}
    (made.folder / "dvc.lock").unlink(missing_ok=True)
    (made.folder / "params.yaml").write_text(yaml.safe_dump(content))
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "start")
    return made


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, warm_folder: Path) -> Checkout:
    """A checkout in which `dvc repro` has run once."""
    made = shop_checkout(tmp_path_factory.mktemp("pipeline"), tiny_base).warm(warm_folder)
    first = made.dvc("repro")
    assert set(ran(first)) == set(STAGES)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "run")
    return made


def test_counts_add_up_through_the_stages(checkout: Checkout) -> None:
    counts = checkout.json("metrics/clean_counts.json")
    assert counts["read"] == 162
    assert {reason: n for reason, n in counts["dropped"].items() if n} == {"not a JSON object": 1, "no title": 1}
    split = checkout.json("metrics/split_counts.json")
    assert split["train"] + split["validation"] + split["test"] == counts["kept"] == 160


def test_tuned_differs_from_base_and_both_scored_all_test_rows(checkout: Checkout) -> None:
    base, tuned = checkout.json("metrics/base.json"), checkout.json("metrics/tuned.json")
    assert base["rows"] == tuned["rows"] == checkout.json("metrics/split_counts.json")["test"]
    assert tuned["nll"] < base["nll"]  # texts may be a neighbour's own, which no training changes
    assert "red" in (checkout.folder / "metrics/report.md").read_text()


def test_nothing_runs_twice_and_the_tree_stays_clean(checkout: Checkout) -> None:
    again = checkout.dvc("repro")
    assert not ran(again)
    assert "Data and pipelines are up to date" in again
    assert checkout.git("status", "--porcelain") == ""


def test_more_epochs_rerun_only_training_and_what_follows(checkout: Checkout) -> None:
    before = checkout.json("metrics/base.json")
    output = checkout.dvc("exp", "run", "--temp", "-n", "five", "-S", "epochs=5")
    # fetch runs too: the experiment's temporary folder lacks the shop's untracked file. Its output is the same.
    assert ran(output) == ["fetch", "train_qlora", "evaluate@tuned", "compare", "report"]
    shown = json.loads(checkout.dvc("metrics", "diff", "main", "five", "--json"))
    assert set(shown) == {"metrics/tuned.json"}  # base is the same in both, so DVC does not list it
    assert before == json.loads(checkout.experiment("five", "metrics/base.json"))
    assert checkout.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ("lora.r=32 learning_rate=1e-4", ["train_qlora"]),
        ("quantization=8bit", ["evaluate@base", "evaluate@tuned", "train_qlora"]),
        ("max_length=256 max_prompt_length=75", ["analyze_lengths", "evaluate@base", "evaluate@tuned", "train_qlora"]),
        ("retrieval.neighbours=2", ["analyze_lengths", "evaluate@base", "evaluate@tuned", "train_qlora"]),
        ("model=llama-3-2-1b dataset=amazontitles-1-3m", ["fetch", "fetch_model"]),
    ],
)
def test_an_experiment_changes_the_stages_that_read_its_params(
    changes: str, stages: list[str], checkout: Checkout
) -> None:
    content = yaml.safe_load((checkout.folder / "params.yaml").read_text())
    for key, _, value in (change.partition("=") for change in changes.split()):
        section, _, name = key.rpartition(".")
        (content[section] if section else content)[name] = yaml.safe_load(value)
    (checkout.folder / "params.yaml").write_text(yaml.safe_dump(content))
    changed = json.loads(checkout.dvc("status", "--json"))
    checkout.git("checkout", "-q", "params.yaml")
    assert sorted(changed) == sorted([*stages, "report"])  # later stages show up only when these have run


def test_the_documented_views_show_the_run(checkout: Checkout) -> None:
    assert "metrics/tuned.json" in checkout.dvc("metrics", "show")
    assert "rougeL" in checkout.dvc("exp", "show")
    one = ["metrics", "diff", "--all", "HEAD~1", "HEAD", "--targets", "metrics/tuned.json"]
    assert "rougeL" in checkout.dvc(*one)
    assert (checkout.folder / "dvc_plots/index.html").as_uri() in checkout.dvc("plots", "show")
    shutil.rmtree(checkout.folder / "dvc_plots")


def test_epochs_0_scores_as_base_so_diff_compares_base_and_tuned(checkout: Checkout) -> None:
    checkout.dvc("exp", "run", "--temp", "-n", "untrained", "-S", "epochs=0")
    assert checkout.experiment("untrained", "metrics/tuned.json") == checkout.git("show", "main:metrics/base.json")
    diff = json.loads(checkout.dvc("metrics", "diff", "--all", "untrained", "main", "--json"))["metrics/tuned.json"]
    tuned = checkout.json("metrics/tuned.json")
    for name in ("bleu", "rouge1", "rouge2", "rougeL", "chrf"):
        assert diff[name]["new"] == tuned[name]


def test_a_sweep_runs_one_experiment_a_value_and_exp_show_sorts_them(checkout: Checkout) -> None:
    checkout.dvc("exp", "run", "--queue", "-n", "rank", "-S", "lora.r=4,8", "evaluate@tuned")
    assert checkout.git("status", "--porcelain") == ""
    checkout.dvc("exp", "run", "--run-all")
    columns = ["--drop", ".*", "--keep", "Experiment|lora.r$|metrics/tuned.json:(bleu|rougeL)"]
    order = ["--sort-by", "metrics/tuned.json:rougeL", "--sort-order", "desc"]
    shown = [row.split(",") for row in checkout.dvc("exp", "show", "--csv", *columns, *order).splitlines() if row]
    assert shown[0] == ["Experiment", "metrics/tuned.json:bleu", "metrics/tuned.json:rougeL", "lora.r"]
    assert [row[0] for row in shown[1:3]] == ["", ""]  # the working tree and its commit
    sweep = [row for row in shown if row[0].startswith("rank-")]  # other tests' experiments are shown too
    assert sorted((row[0], row[3]) for row in sweep) == [("rank-1", "4"), ("rank-2", "8")]
    scores = [float(row[2]) for row in sweep]
    assert scores == sorted(scores, reverse=True)
    for name in ("rank-1", "rank-2"):
        own = json.loads(checkout.experiment(name, "metrics/tuned.json"))
        assert round(own["rougeL"], 4) in scores


def test_a_remote_folder_stores_and_returns_the_adapter(checkout: Checkout, tmp_path: Path) -> None:
    checkout.dvc("push", "models/adapter")
    clone = tmp_path / "clone"
    checkout.run("git", "clone", "-q", str(checkout.folder), str(clone))
    shutil.copytree(checkout.folder / "adapters", clone / "adapters", dirs_exist_ok=True)
    checkout.run(sys.executable, "-m", "dvc", "--cd", str(clone), "pull", "models/adapter")
    assert files.folder_hashes(clone / "models/adapter") == files.folder_hashes(checkout.folder / "models/adapter")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epohcs=3", "epohcs"),
        ("epochs=-1", "epochs is -1"),
        ("split.train=0.95", "leave no test rows"),
        ("max_prompt_length=128", "max_prompt_length 128 is not below max_length 128"),
        ("micro_batch_size=3", "micro_batch_size 3 does not divide batch_size 8"),
        ("dataset=no-such-shop", "no-such-shop"),
        ("model=no-such-model", "no-such-model"),
        ("precision=bf16", "precision is bf16"),
        ("sample.size=1", "raise sample.size"),
    ],
)
def test_a_mistake_in_an_experiment_gives_one_sentence(checkout: Checkout, change: str, message: str) -> None:
    # Hydra refuses an unknown key in a sentence of its own.
    output = checkout.fails(sys.executable, "-m", "dvc", "exp", "run", "--temp", "-S", change)
    assert message in output
