"""Remotes over real servers on loopback: which outputs go where, and faults of servers."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.remotes import FILES, Checkout, Sshd, contents, made, nginx, outs

_PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/bin"
wants_sshd = pytest.mark.skipif(not shutil.which("sshd", path=_PATH), reason="no sshd; run 'make servers'")
wants_nginx = pytest.mark.skipif(not shutil.which("nginx", path=_PATH), reason="no nginx; run 'make servers'")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with stand-ins."""
    return made(tmp_path_factory.mktemp("remotes") / "shop")


@pytest.fixture
def checkout(shop: Checkout, tmp_path: Path) -> Checkout:
    """A copy of it with its cache, whose remotes a test may change."""
    folder = tmp_path / "shop"
    shutil.copytree(shop.folder, folder, symlinks=True)
    return Checkout(folder, shop.home)


@pytest.fixture
def sshd(shop: Checkout, tmp_path: Path) -> Iterator[Sshd]:
    """A running sshd."""
    server = Sshd(tmp_path / "sshd", shop.home)
    yield server
    server.kill()


def pulled(checkout: Checkout) -> dict[str, bytes]:
    """The adapter's files."""
    return contents(checkout.folder / "models/adapter")


def test_a_bare_push_takes_the_adapter_and_nothing_else(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("dvc", "push", ok=False)  # there is no remote for data, and it says so
    ours = {name for name, settings in outs().items() if settings.get("remote") == "adapters"}
    there = list(contents(checkout.folder / "adapters").values())
    for name in outs():
        path = checkout.folder / name
        files = [path] if path.is_file() else list(path.iterdir())
        for file in files:
            assert (file.read_bytes() in there) is (name in ours), name
    assert ours == {"models/adapter"}
    private = {name for name in outs() if name.startswith(("data/", "models/base"))} - ours
    assert {"data/raw", "data/clean.parquet", "data/train.parquet", "data/test.parquet", "models/base"} <= private


def test_a_shops_data_goes_to_its_own_default_remote(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("dvc", "remote", "add", "--local", "-d", "shop", str(tmp_path / "mounted"))
    checkout.run("dvc", "push")
    there = list(contents(tmp_path / "mounted").values())
    assert (checkout.folder / "data/train.parquet").read_bytes() in there
    assert (checkout.folder / "models/base/0.bin").read_bytes() not in [*there, *contents(checkout.folder / "adapters")]
    clone = checkout.clone(tmp_path / "clone")
    shutil.copytree(checkout.folder / "adapters", clone.folder / "adapters")
    clone.run("dvc", "pull", "data/train.parquet", "models/adapter")
    assert (clone.folder / "data/train.parquet").read_bytes() == (checkout.folder / "data/train.parquet").read_bytes()
    assert pulled(clone) == pulled(checkout)


@wants_sshd
def test_push_pull_and_get_over_ssh(checkout: Checkout, sshd: Sshd, tmp_path: Path) -> None:
    sshd.use(checkout, tmp_path / "there")
    checkout.run("dvc", "push", "models/adapter")
    clone = checkout.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "models/adapter")
    assert pulled(clone) == pulled(checkout)
    clone.run("dvc", "get", str(checkout.folder), "models/adapter", "-o", "elsewhere")
    assert contents(clone.folder / "elsewhere") == pulled(checkout)


@wants_nginx
def test_pull_over_http(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("dvc", "push", "models/adapter")
    with nginx(checkout.folder / "adapters", tmp_path / "nginx") as address:
        clone = checkout.clone(tmp_path / "clone")
        clone.run("dvc", "remote", "modify", "--local", "adapters", "url", address)
        clone.run("dvc", "pull", "models/adapter")
    assert pulled(clone) == pulled(checkout)


@pytest.fixture(params=[pytest.param("ssh", marks=wants_sshd), pytest.param("http", marks=wants_nginx)])
def published(request: pytest.FixtureRequest, checkout: Checkout, tmp_path: Path) -> Iterator[str]:
    """A Git address of a project whose committed remote is one that others reach, and which holds its adapter."""
    with ExitStack() as servers:
        if request.param == "ssh":
            server: Sshd = request.getfixturevalue("sshd")
            server.use(checkout, tmp_path / "there", "--project")
            checkout.run("dvc", "push", "models/adapter")
        else:
            checkout.run("dvc", "push", "models/adapter")
            address = servers.enter_context(nginx(checkout.folder / "adapters", tmp_path / "nginx"))
            checkout.run("dvc", "remote", "modify", "--project", "adapters", "url", address)
        checkout.run("git", "commit", "-qam", "a remote that others reach")
        checkout.run("git", "tag", "-a", "adapter@v1.0.0", "-m", "first")
        yield f"file://{checkout.folder}"


@pytest.mark.parametrize("command", ["get {} models/adapter", "artifacts get {} adapter"])
def test_from_outside_a_checkout_an_address_of_git_is_enough(
    command: str, published: str, checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    outside = Checkout(tmp_path / "outside", checkout.home)
    outside.run("dvc", *command.format(published).split(), "-o", "here")
    assert contents(outside.folder / "here") == pulled(checkout)


def changed_adapter(checkout: Checkout) -> dict[str, bytes]:
    """Another adapter in place of the first, recorded; what it holds."""
    for file in (checkout.folder / "models/adapter").iterdir():
        file.unlink()
    (checkout.folder / "models/adapter/0.bin").write_bytes(os.urandom(1000))
    checkout.run("dvc", "commit", "--force", "-q", "train_qlora")
    return pulled(checkout)


def test_an_earlier_adapter_is_pulled_by_its_commit_or_tag(checkout: Checkout, tmp_path: Path) -> None:
    first = pulled(checkout)
    checkout.run("dvc", "push", "models/adapter")
    checkout.run("git", "tag", "first")
    second = changed_adapter(checkout)
    checkout.run("dvc", "push", "models/adapter")
    checkout.run("git", "commit", "-qam", "another adapter")
    clone = checkout.clone(tmp_path / "clone")
    shutil.copytree(checkout.folder / "adapters", clone.folder / "adapters")
    for revision, expected in (("first", first), ("HEAD", second), ("HEAD~1", first)):
        clone.run("git", "checkout", "-q", revision, "--", "dvc.lock")
        clone.run("dvc", "pull", "--force", "models/adapter")
        assert pulled(clone) == expected


def test_an_experiments_adapter_reaches_another_clone(checkout: Checkout, tmp_path: Path) -> None:
    first = pulled(checkout)
    second = changed_adapter(checkout)
    checkout.run("dvc", "exp", "save", "-n", "better")
    checkout.run("dvc", "push", "models/adapter")
    clone = checkout.clone(tmp_path / "clone")
    shutil.copytree(checkout.folder / "adapters", clone.folder / "adapters")
    clone.run("dvc", "exp", "pull", "--no-cache", "origin", "better")
    clone.run("dvc", "exp", "branch", "better", "their-better")  # `exp apply` would want all outputs, data too
    clone.run("git", "checkout", "-q", "their-better", "--", "dvc.lock")
    clone.run("dvc", "pull", "--force", "models/adapter")
    assert pulled(clone) == second != first


@wants_sshd
def test_a_read_only_server_is_reported_and_push_works_once_writable(
    checkout: Checkout, sshd: Sshd, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    sshd.use(checkout, there)
    sshd.allow(write=False)
    said = checkout.run("dvc", "push", "models/adapter", ok=False)
    assert "ERROR" in said and "Permission denied" in said
    assert not there.exists()
    sshd.allow(write=True)
    checkout.run("dvc", "push", "models/adapter")
    sshd.allow(write=False)
    clone = checkout.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "models/adapter")  # reading needs no such right
    assert pulled(clone) == pulled(checkout)


@wants_sshd
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_server_crash_leaves_no_partial_files_and_a_retry_finishes(
    direction: str, checkout: Checkout, sshd: Sshd, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    sshd.use(checkout, there)
    one, watched = checkout, there
    if direction == "pull":
        checkout.run("dvc", "push", "models/adapter")
        one = checkout.clone(tmp_path / "clone")
        watched = one.folder / ".dvc/cache"
    command = ("dvc", direction, "-j", "1", "models/adapter")
    running = one.start(*command)
    while running.poll() is None and len(contents_safely(watched)) < 2:
        time.sleep(0.002)
    sshd.kill()
    output, _ = running.communicate(timeout=240)
    assert running.returncode, output
    assert "ERROR" in output
    assert direction == "push" or not pulled_any(one)
    sshd.start()
    one.run(*command)
    clone = checkout.clone(tmp_path / "another")
    clone.run("dvc", "pull", "models/adapter")
    assert pulled(clone) == pulled(checkout) == pulled(one)
    assert len(pulled(clone)) == FILES


def contents_safely(folder: Path) -> list[Path]:
    """The files of a folder that is being written."""
    try:
        return [file for file in folder.rglob("*") if file.is_file()]
    except OSError:
        return []


def pulled_any(checkout: Checkout) -> bool:
    """Whether anything of an adapter is installed."""
    return (checkout.folder / "models/adapter").exists() and bool(pulled(checkout))


@pytest.mark.parametrize("fault", ["truncated", "tampered", "missing"])
def test_a_damaged_object_is_refused_until_it_is_replaced(fault: str, checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("dvc", "push", "models/adapter")
    there = checkout.folder / "adapters"
    damaged = max((file for file in there.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    good = damaged.read_bytes()
    damaged.chmod(0o644)
    if fault == "missing":
        damaged.unlink()
    else:
        damaged.write_bytes(good[:1000] if fault == "truncated" else b"x" + good[1:])
    clone = checkout.clone(tmp_path / "clone")
    shutil.copytree(there, clone.folder / "adapters")
    said = clone.run("dvc", "pull", "models/adapter", ok=False)
    assert "ERROR" in said
    assert not pulled_any(clone)
    again = clone.folder / "adapters" / damaged.relative_to(there)
    again.parent.mkdir(parents=True, exist_ok=True)
    again.write_bytes(good)
    clone.run("dvc", "pull", "models/adapter")
    assert pulled(clone) == pulled(checkout)


@wants_sshd
def test_the_documented_guard_stops_at_another_host_key(checkout: Checkout, sshd: Sshd, tmp_path: Path) -> None:
    """DVC itself takes any host key (its SSH library is told to), so docs/using.md puts OpenSSH in front of it."""
    sshd.use(checkout, tmp_path / "there")
    known = f"-o UserKnownHostsFile={checkout.home}/.ssh/known_hosts -i {sshd.key} -p {sshd.port}"
    guarded = f"ssh -o BatchMode=yes {known} 127.0.0.1 true && dvc push models/adapter"
    sshd.kill()
    sshd.new_host_key()
    sshd.start()
    assert "Host key verification failed" in checkout.run("sh", "-c", guarded, ok=False)
    assert not (tmp_path / "there").exists()
    sshd.know()
    checkout.run("sh", "-c", guarded)
    assert contents(tmp_path / "there")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_reported_and_a_retry_finishes(checkout: Checkout, tmp_path: Path) -> None:
    there = tmp_path / "small"
    there.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(there)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        checkout.run("dvc", "remote", "modify", "--local", "adapters", "url", str(there))
        assert "No space left on device" in checkout.run("dvc", "push", "models/adapter", ok=False)
        subprocess.run(["mount", "-o", "remount,size=64m", str(there)], check=True)
        checkout.run("dvc", "push", "models/adapter")
        clone = checkout.clone(tmp_path / "clone")
        clone.run("dvc", "pull", "models/adapter")
        assert pulled(clone) == pulled(checkout)
    finally:
        subprocess.run(["umount", str(there)], check=True)


def test_an_unwritable_folder_is_reported(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    checkout.run("dvc", "remote", "modify", "--local", "adapters", "url", str(tmp_path / "file/inside"))
    assert "ERROR" in checkout.run("dvc", "push", "models/adapter", ok=False)


def test_the_shipped_remote_is_small() -> None:
    folder = ROOT / "adapters"
    assert sum(len(content) for content in contents(folder).values()) <= 25 << 20
