"""A run on a host equals a local one; tampered or stale archives are refused in one sentence."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from copywriter import files
from tests.remotes.test_remotes import wants_sshd
from tests.support.remotes import Sshd
from tests.test_pipeline import Checkout, ran, shop_checkout
from tools.gpu_run import archive, objects, pipeline, there

COMMENTED = "# A comment that stays.\n{}\nepochs: 1     # 0: the base\n"
GPU_RUN = [sys.executable, "-m", "tools.gpu_run"]


def host(folder: Path, *words: str, ok: bool = True) -> str:
    """The output of start.sh on a host whose interpreter has another name, without a Git identity."""
    alone = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    kept = {key: value for key, value in os.environ.items() if key in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")}
    done = subprocess.run(["sh", str(folder / "start.sh"), *words], env=alone | kept, capture_output=True, text=True)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Trip:
    """A checkout that has packed a run, the host's folder, the returned archive and the host's output."""

    made: Checkout
    host: Path
    back: Path
    said: str

    def fresh(self, folder: Path) -> Checkout:
        """A copy of the checkout as it was when it had packed."""
        shutil.copytree(self.made.folder, folder, symlinks=True)
        copied = object.__new__(Checkout)
        copied.folder, copied.environment = folder, self.made.environment
        return copied


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, warm_folder: Path) -> Trip:
    """Packed in small parts, run on the host and packed again; not yet imported."""
    place = tmp_path_factory.mktemp("trip")
    shutil.copytree(tiny_base, place / "published")
    made = shop_checkout(place, place / "published", epochs=1).warm(warm_folder)
    params = yaml.safe_load((made.folder / "params.yaml").read_text())
    del params["epochs"]
    (made.folder / "params.yaml").write_text(COMMENTED.format(yaml.safe_dump(params)))
    made.git("commit", "-qam", "params.yaml with comments")
    pack = [*GPU_RUN, "pack", str(place / "run.tgz"), "--part-size", "20K"]
    said = made.fails(*pack)
    assert "the data stages made them" in said
    made.git("add", "-A")
    made.git("commit", "-qm", "data stages")
    made.run(*pack)
    parts = sorted(place.glob("run.tgz.*-of-*"))
    assert len(parts) > 2
    assert max(part.stat().st_size for part in parts) <= 20 << 10
    folder = place / "host"
    folder.mkdir()
    subprocess.run(f"cat {place}/run.tgz.* | tar xz -C {folder}", shell=True, check=True)
    said = host(folder, "--to", str(place / "home.tgz"))
    return Trip(made, folder, place / "home.tgz", said)


def test_a_run_there_equals_one_made_here_and_becomes_two_commits(trip: Trip, tmp_path: Path) -> None:
    """Bit for bit, in dvc.lock, metrics and the objects; the commit of the base holds epochs: 0, and comments stay."""
    alone = trip.fresh(tmp_path / "alone")
    alone.environment = alone.environment | {"COPYWRITER_RUNS": str(tmp_path / "runs")}
    alone.dvc("repro", "-s", "train_qlora", "evaluate@tuned")
    ours = trip.fresh(tmp_path / "ours")
    said = ours.run(*GPU_RUN, "home", str(trip.back), "--commit", "base", "tuned")
    one, other = (yaml.safe_load((made.folder / "dvc.lock").read_text())["stages"] for made in (ours, alone))
    assert other["train_qlora"] == one["train_qlora"]
    assert other["evaluate@tuned"] == one["evaluate@tuned"]
    assert files.folder_hashes(ours.folder / "models") == files.folder_hashes(alone.folder / "models")
    assert ours.git("status", "--porcelain") == ""
    text = (trip.made.folder / "params.yaml").read_text()
    assert ours.git("show", "HEAD:params.yaml") == text
    assert ours.git("show", "HEAD~1:params.yaml") == text.replace("epochs: 1", "epochs: 0")
    assert not ran(ours.dvc("repro", "--dry"))
    assert "metrics/tuned.json" in ours.dvc("metrics", "diff", "--all", "HEAD~1", "HEAD")
    assert ours.git("show", "HEAD~1:metrics/tuned.json") == ours.git("show", "HEAD:metrics/base.json")
    push = next(line for line in said.splitlines() if line.startswith("dvc push"))
    ours.dvc(*push.split()[1:])
    clone = tmp_path / "clone"
    ours.git("clone", "-q", ".", str(clone))
    shutil.copytree(ours.folder / "adapters", clone / "adapters", dirs_exist_ok=True)
    ours.dvc("--cd", str(clone), "pull", "models/adapter")
    assert files.folder_hashes(clone / "models/adapter") == files.folder_hashes(ours.folder / "models/adapter")


def test_only_training_and_what_follows_ran_there_each_stage_timed(trip: Trip) -> None:
    assert not set(ran(trip.said)) & (pipeline.HERE - {"fetch_model"})
    assert ran(trip.said).count("evaluate@base") == 1  # the second experiment takes it from the run cache
    record = json.loads((trip.host / "checkout/runs/gpu_run.json").read_text())
    assert set(record) == {"tuned", "base"}
    timed = set(record["tuned"]["stages"])
    assert timed == {"train_qlora", "evaluate@base", "evaluate@tuned", "compare", "report"}
    assert record["tuned"]["seconds"] > sum(stage["seconds"] for stage in record["tuned"]["stages"].values())
    assert record["tuned"]["machine"]["device"]


def test_data_and_base_model_stay_and_only_needed_files_are_sent(trip: Trip, tmp_path: Path) -> None:
    locked = pipeline.hashes((trip.made.folder / "dvc.lock").read_text())
    archive.unpack(trip.back, tmp_path)
    assert not set(objects.verified(tmp_path / "objects")) & set(locked.values())
    carried = {locked[path] for path in pipeline.carried()}
    folders = [trip.host / "objects" / objects.place(one) for one in carried if one.endswith(".dir")]
    inside = {file["md5"] for folder in folders for file in json.loads(folder.read_text())}
    assert set(objects.verified(trip.host / "objects")) == carried | inside
    assert not carried & {locked[path] for path in ("data/raw", "data/clean.parquet", "models/base")}


def unpacked(trip: Trip, there: Path) -> dict[str, Any]:
    """Unpacks the run in the folder of a new host; its plan."""
    there.mkdir()
    subprocess.run(f"cat {trip.host.parent}/run.tgz.* | tar xz -C {there}", shell=True, check=True)
    plan: dict[str, Any] = json.loads((there / "plan.json").read_text())
    return plan


def test_a_lost_host_costs_one_experiment(trip: Trip, tmp_path: Path) -> None:
    """The first host ends after the base; the second takes that over and runs the other, with the same bits."""
    plan = unpacked(trip, tmp_path / "lost")
    files.write_json(
        tmp_path / "lost/plan.json", plan | {"experiments": [plan["experiments"][1], ["x", ["epochs=-1"]]]}
    )
    host(tmp_path / "lost", "--part-size", "20K", ok=False)
    unpacked(trip, tmp_path / "next")
    for part in (tmp_path / "lost").glob("home.tgz*"):
        shutil.copy(part, tmp_path / "next")
    said = host(tmp_path / "next")
    assert "base has already run; skipped" in said
    assert ran(said).count("train_qlora") == 1
    ours = trip.fresh(tmp_path / "ours")
    ours.run(*GPU_RUN, "home", str(tmp_path / "next/home.tgz"), "--commit", "base", "tuned")
    whole = trip.fresh(tmp_path / "whole")
    whole.run(*GPU_RUN, "home", str(trip.back), "--commit", "base", "tuned")
    for commit in ("HEAD~1", "HEAD"):
        one, other = (yaml.safe_load(made.git("show", f"{commit}:dvc.lock")) for made in (ours, whole))
        assert one == other
    record = json.loads((tmp_path / "next/checkout/runs/gpu_run.json").read_text())
    assert set(record) == {"tuned", "base"}


def test_an_archive_of_another_commit_is_not_taken_over(trip: Trip, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "in").mkdir()
    archive.unpack(trip.back, tmp_path / "in")
    plan = json.loads((tmp_path / "in/plan.json").read_text())
    ours = trip.fresh(tmp_path / "ours")
    with chdir(ours.folder):
        there.take_over(trip.back, plan | {"commit": "0" * 40})
    assert "is written anew" in capsys.readouterr().err
    assert ours.git("for-each-ref", "refs/exps") == ""


@wants_sshd
def test_over_ssh_it_is_one_command_and_what_was_run_is_not_run_again(trip: Trip, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    shutil.copytree(trip.host, tmp_path / "host", symlinks=True)
    ours = trip.fresh(tmp_path / "ours")
    server = Sshd(tmp_path / "sshd", tmp_path / "home")
    try:
        known = f"-o UserKnownHostsFile={tmp_path}/home/.ssh/known_hosts -o BatchMode=yes"
        ours.environment = ours.environment | {"SSH": f"ssh {known} -i {server.key} -p {server.port}"}
        command = ["ssh", "127.0.0.1", "--folder", str(tmp_path / "host"), "--python", sys.executable]
        said = ours.run(*GPU_RUN, *command)
    finally:
        server.kill()
    assert not ran(said)
    assert "dvc exp apply base" in said
    assert sorted(ours.dvc("exp", "list", "--name-only").split()) == ["base", "tuned"]


def test_a_tampered_object_stops_home_and_leaves_nothing(trip: Trip, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive.unpack(trip.back, tmp_path / "in")
    target = next(file for file in sorted((tmp_path / "in/objects").glob("*/*")) if file.stat().st_size > 100)
    content = target.read_bytes()
    target.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    (bad,) = archive.write(tmp_path / "bad.tgz", tmp_path / "in")
    assert "has other bytes than its name says" in refused(trip, tmp_path, bad)


def test_a_missing_object_stops_home_and_leaves_nothing(trip: Trip, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    archive.unpack(trip.back, tmp_path / "in")
    locked = pipeline.hashes((trip.host / "checkout/dvc.lock").read_text())
    (tmp_path / "in/objects" / objects.place(locked["metrics/report.html"])).unlink()
    (bad,) = archive.write(tmp_path / "bad.tgz", tmp_path / "in")
    assert "did not come" in refused(trip, tmp_path, bad)


def refused(trip: Trip, tmp_path: Path, bad: Path) -> str:
    """The message of `home` for an archive that it refuses; asserts that the checkout is unchanged."""
    ours = trip.fresh(tmp_path / "ours")
    before = sorted((ours.folder / ".dvc/cache/files").rglob("*"))
    said = ours.fails(*GPU_RUN, "home", str(bad), "--commit", "base")
    assert sorted((ours.folder / ".dvc/cache/files").rglob("*")) == before
    assert ours.git("for-each-ref", "refs/exps") == ""
    assert ours.git("rev-parse", "HEAD") == trip.made.git("rev-parse", "HEAD")
    return said


def test_home_wants_the_packed_commit_and_a_clean_tree(trip: Trip, tmp_path: Path) -> None:
    ours = trip.fresh(tmp_path / "ours")
    (ours.folder / "note").write_text("mine")
    for command in (["home", str(trip.back), "--commit", "base"], ["pack", str(tmp_path / "run.tgz")]):
        assert "not committed: note" in ours.fails(*GPU_RUN, *command)
    ours.git("add", "-A")
    ours.git("commit", "-qm", "another")
    assert "git switch -c gpu-run" in ours.fails(*GPU_RUN, "home", str(trip.back))


def test_another_base_model_there_stops_before_training(trip: Trip, tmp_path: Path, tiny_base: Path) -> None:
    unpacked(trip, tmp_path / "host")
    config = trip.host.parent / "published/config.json"
    content = config.read_text()
    try:
        config.write_text(content.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
        said = host(tmp_path / "host", ok=False)
    finally:
        config.write_text(content)
    assert "this host makes models/base" in said
    assert "--with-base" in said
    assert "train_qlora" not in said


def test_a_data_stage_that_would_run_there_stops_before_training(trip: Trip, tmp_path: Path) -> None:
    ours = trip.fresh(tmp_path / "ours")
    ours.run(*GPU_RUN, "pack", str(tmp_path / "run.tgz"), "--with-base")
    place = tmp_path / "host"
    place.mkdir()
    archive.unpack(tmp_path / "run.tgz", place)
    with (ours.folder / "stages/clean.py").open("a") as code:
        code.write("# another cleaning\n")
    ours.git("commit", "-qam", "edited")
    ours.git("bundle", "create", "-q", str(place / "repository.bundle"), "HEAD")
    plan = json.loads((place / "plan.json").read_text())
    files.write_json(place / "plan.json", plan | {"commit": ours.git("rev-parse", "HEAD").strip()})
    said = host(place, ok=False)
    assert "DVC would run clean here" in said
    assert not ran(said)  # the base model that was carried is not made again, and nothing is trained


def test_two_runs_never_work_in_one_folder(trip: Trip) -> None:
    with (trip.host / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "a run works in this folder still" in host(trip.host, ok=False)
