"""dvc.lock after a change of code: brought up to date where the replay proves equal outputs, else left as it is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from copywriter import paths
from tests.test_pipeline import Checkout, shop_checkout
from tools.relock import history
from tools.relock.workplace import Runner, md5

DATA = ["fetch", "clean", "sample", "split", "retrieve", "fetch_model"]
LOCKED = [*DATA, "train_qlora", "evaluate@tuned"]
DRY = ["repro", "--allow-missing", "--dry", "--single-item", *LOCKED]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    one = Runner(tmp_path_factory.mktemp("logs"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, runner: Runner) -> Checkout:
    """A checkout whose stages ran up to the scores, with dvc.lock in its last commit."""
    made = shop_checkout(tmp_path_factory.mktemp("relock"), tiny_base)
    for name in LOCKED:
        stage, _, variant = name.partition("@")
        assert runner.run(made.folder.resolve(), f"stages.{stage}", [variant] * bool(variant)) is None
    made.dvc("commit", "--force", "-q", *LOCKED)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "run")
    return made


@pytest.fixture
def checkout(committed: Checkout) -> Iterator[Checkout]:
    """The checkout without changes, before and after."""
    yield committed
    committed.git("reset", "-q", "--hard")
    committed.git("clean", "-fdq")


def change(checkout: Checkout, name: str, old: str, new: str) -> None:
    file = checkout.folder / name
    content = file.read_text()
    assert old in content, (name, old)
    file.write_text(content.replace(old, new))


def relock(checkout: Checkout, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.relock", *options],
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
    )


def changed_deps(checkout: Checkout) -> set[str]:
    """What of dvc.lock is not as it was committed; AssertionError for anything but the hash of a dep."""
    before = yaml.safe_load(checkout.git("show", "HEAD:dvc.lock"))["stages"]
    after = yaml.safe_load((checkout.folder / "dvc.lock").read_text())["stages"]
    found = set()
    for name, entry in after.items():
        then = before[name]
        found |= {dep["path"] for dep in entry["deps"] if dep not in then["deps"]}
        assert {**entry, "deps": 0} == {**then, "deps": 0}
    return found


def test_a_comment_needs_no_run(checkout: Checkout) -> None:
    change(checkout, "copywriter/modeling/loading.py", "\nimport ", "\n# Loads.\nimport ")
    done = relock(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the code means the same") == 2
    assert "Running stage" not in checkout.dvc(*DRY)
    assert changed_deps(checkout) == {"copywriter/modeling"}
    assert checkout.git("status", "--porcelain", str(paths.RELOCKED)) == ""


def test_a_renamed_function_is_replayed_and_keeps_the_fingerprint(checkout: Checkout, runner: Runner) -> None:
    for name in ("training/experiment", "modeling/loading", "verify", "evaluation/predict"):
        change(checkout, f"copywriter/{name}.py", "base_identity", "identity_of_base")
    (checkout.folder / "models/adapter/adapter_model.safetensors").rename(checkout.folder.parent / "hidden")
    done = relock(checkout)
    (checkout.folder.parent / "hidden").rename(checkout.folder / "models/adapter/adapter_model.safetensors")
    assert "models/adapter here is not that of dvc.lock; run 'dvc checkout models/adapter'" in done.stderr
    assert not changed_deps(checkout)
    done = relock(checkout)
    assert done.returncode == 0, done.stderr
    assert "train_qlora, evaluate@tuned: a small case" in done.stdout
    assert "evaluate@tuned: its texts scored again in full, outputs equal" in done.stdout
    assert "Running stage" not in checkout.dvc(*DRY)
    assert changed_deps(checkout) == {"copywriter/modeling", "copywriter/training", "copywriter/evaluation"}
    assert runner.run(checkout.folder.resolve(), "copywriter.verify") is None
    said = (runner.scratch / f"{runner.count}.log").read_text()
    assert "verify: code: equal\n" in said
    assert "/checkpoint-" in said  # the checkpoints of before are still found


def test_what_differs_is_named_and_nothing_is_written(checkout: Checkout) -> None:
    change(checkout, "copywriter/training/data_order.py", "[self._seed, epoch]", "[self._seed, epoch + 7]")
    change(checkout, "copywriter/training/step.py", "self._training = Replay(self", "self._training = Replay(1 * self")
    change(checkout, "stages/sample.py", "str(seed)", "str(seed + 1)")
    done = relock(checkout)
    assert done.returncode == 1
    for sentence in (
        "relock: sample writes another data/sample.parquet than dvc.lock has",
        "relock: train_qlora: metrics/train_history.csv of the small case differs from that of the earlier code",
        "relock: copywriter/training/step.py: Step.gradients changed, and the replay on a CPU does not run that code",
    ):
        assert sentence in done.stderr
    assert "nothing was written" in done.stderr
    assert checkout.git("status", "--porcelain", "dvc.lock", "metrics") == ""


def test_new_scores_of_the_committed_texts_are_written_on_request(checkout: Checkout) -> None:
    then = checkout.json("metrics/tuned.json")
    texts = md5(checkout.folder / "data/predictions_tuned.jsonl")
    change(
        checkout, "copywriter/evaluation/metrics/nll.py", '"perplexity": np.exp(nll)', '"perplexity": 2 * np.exp(nll)'
    )
    assert "evaluate@tuned writes another metrics/tuned.json" in relock(checkout).stderr
    done = relock(checkout, "--rescore")
    assert done.returncode == 0, done.stderr
    assert "evaluate@tuned: its texts scored again in full, new scores" in done.stdout
    assert "Running stage" not in checkout.dvc(*DRY)
    now = checkout.json("metrics/tuned.json")
    assert {key for key in now if now[key] != then[key]} == {"perplexity"}
    assert md5(checkout.folder / "data/predictions_tuned.jsonl") == texts


def test_new_scores_do_not_excuse_other_texts(checkout: Checkout) -> None:
    change(
        checkout,
        "copywriter/generation/generate.py",
        "skip_special_tokens=True)).strip()",
        "skip_special_tokens=True))",
    )
    change(checkout, "copywriter/generation/generate.py", "stopped = ids[-1:] == [end]", "stopped = ids[-1:] != [end]")
    done = relock(checkout, "--rescore")
    assert done.returncode == 1
    assert "data/predictions_tuned.jsonl of the small case differs from that of the earlier code" in done.stderr
    assert checkout.git("status", "--porcelain", "dvc.lock", "metrics") == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("params.yaml", "epochs: 3", "epochs: 4", "train_qlora: params.yaml has other values of epochs"),
        ("dvc.yaml", "python -m stages.sample", "python -m stages.sample --x", "sample: its command changed"),
    ],
)
def test_more_than_changed_code_is_refused(checkout: Checkout, file: str, old: str, new: str, said: str) -> None:
    change(checkout, file, old, new)
    change(checkout, "stages/sample.py", "\nimport ", "\n# A comment.\nimport ")
    done = relock(checkout)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_code_that_is_no_python_is_said_with_its_line(checkout: Checkout) -> None:
    change(checkout, "stages/sample.py", "\nimport ", "\nimport import ")
    assert "stages/sample.py, line " in relock(checkout).stderr


def test_a_lock_without_its_commit_is_refused(checkout: Checkout) -> None:
    text = (checkout.folder / "dvc.lock").read_text()
    entry = yaml.safe_load(text)["stages"]["sample"]["deps"]
    (code,) = (dep["md5"] for dep in entry if dep["path"] == "stages/sample.py")
    (checkout.folder / "dvc.lock").write_text(text.replace(code, "f" * 32))
    assert "sample: no commit of this history has the code of dvc.lock" in relock(checkout).stderr


def test_a_folder_hashes_as_dvc_hashes_it(checkout: Checkout) -> None:
    entry = yaml.safe_load((checkout.folder / "dvc.lock").read_text())["stages"]["train_qlora"]
    (expected,) = (dep["md5"] for dep in entry["deps"] if dep["path"] == "copywriter/training")
    tree = {}
    for line in checkout.git("ls-tree", "-r", "HEAD", "copywriter/training/").splitlines():
        name = line.partition("\t")[2]
        tree[Path(name).relative_to("copywriter/training").as_posix()] = md5(checkout.folder / name)
    assert history.folder_md5(tree) == expected
