"""A checkout with stand-ins for all outputs, and servers on loopback that it pushes to and pulls from."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import yaml

from tests.conftest import ROOT

FILES = 12  # of the stand-in adapter
SIZE = 1_000_000


@dataclass(frozen=True)
class Checkout:
    """A Git and DVC repository, and the home folder that its commands see."""

    folder: Path
    home: Path

    def run(self, *command: str, ok: bool = True) -> str:
        """What the command says; AssertionError when it ends otherwise than `ok` says."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=300
        )
        assert (done.returncode == 0) is ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """The command, running; its output is kept together."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        """The commands' environment: a home of their own, so no key or host of the user's is used."""
        return {**os.environ, "HOME": str(self.home), "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_NOSYSTEM": "1"}

    def clone(self, folder: Path) -> "Checkout":
        """A fresh clone, without a cache, with this checkout's own remote settings."""
        self.run("git", "clone", "-q", ".", str(folder))
        local = self.folder / ".dvc/config.local"
        if local.exists():
            shutil.copy(local, folder / ".dvc/config.local")
        return Checkout(folder, self.home)


def made(folder: Path) -> Checkout:
    """This project's pipeline, with a stand-in in place of every output, all of it in dvc.lock and the cache."""
    home = folder.parent / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".gitconfig").write_text("[user]\n\tname = a\n\temail = a@example.com\n")
    checkout = Checkout(folder, home)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    for name in ("dvc.yaml", ".dvc/config"):  # as they are now
        shutil.copy(ROOT / name, folder / name)
    shutil.rmtree(folder / "adapters", ignore_errors=True)
    for out in outs():
        path = folder / out
        if "." in path.name:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"stand-in for {out}\n")
        else:
            path.mkdir(parents=True, exist_ok=True)
            for number in range(FILES if out == "models/adapter" else 1):
                (path / f"{number}.bin").write_bytes(os.urandom(SIZE if out == "models/adapter" else 100))
    checkout.run("dvc", "commit", "--force", "-q")
    checkout.run("git", "commit", "-qam", "stand-ins")
    return checkout


def outs() -> dict[str, dict[str, object]]:
    """Every output of dvc.yaml with its settings."""
    found = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        keys = stage.get("foreach", [name])
        for out in stage.get("do", stage).get("outs", []) + stage.get("do", stage).get("metrics", []):
            path, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            for key in keys:
                found[path.replace("${key}", key)] = settings
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under `folder`."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Sshd:
    """A real sshd on loopback, with keys of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        folder.mkdir()
        self.folder, self.home, self.port = folder, home, free_port()
        self.read_only = False
        self.key = folder / "user"
        self.new_host_key()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.know()
        self.start()

    def settings(self) -> str:
        """The server's configuration."""
        folder = self.folder
        found = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "user.pub",
            "PidFile": folder / "pid",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "Subsystem": f"sftp internal-sftp{' -R' if self.read_only else ''}",
        }
        return "".join(f"{name} {value}\n" for name, value in found.items())

    def new_host_key(self) -> None:
        """Makes the host's key, another one each time."""
        for file in self.folder.glob("host*"):
            file.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host")], check=True)

    def know(self) -> None:
        """Puts the host's key where its users look."""
        line = f"[127.0.0.1]:{self.port} {(self.folder / 'host.pub').read_text()}"
        (self.home / ".ssh/known_hosts").write_text(line)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        (self.folder / "config").write_text(self.settings())
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it for its unprivileged half
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd
        self.process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(self.folder / "config")], stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("sshd does not answer")

    def kill(self) -> None:
        """Ends it and every session of it, at once."""
        for one in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
            one.kill()
        self.process.wait()

    def allow(self, write: bool) -> None:
        """Starts it anew, with or without the right to write."""
        self.kill()
        self.read_only = not write
        self.start()

    def use(self, checkout: Checkout, folder: Path, *where: str) -> None:
        """Makes the remote `adapters` of the checkout this server's `folder`; `where` is --local by default."""
        for key, value in {
            "url": f"ssh://127.0.0.1:{self.port}{folder}",
            "keyfile": str(self.key),
            "user": psutil.Process().username(),
        }.items():
            checkout.run("dvc", "remote", "modify", *(where or ["--local"]), "adapters", key, value)


@contextmanager
def nginx(folder: Path, scratch: Path) -> Iterator[str]:
    """`folder`, to be read over http from loopback; its address."""
    port = free_port()
    scratch.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {scratch}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (scratch / "nginx.conf").write_text(
        f"user root; daemon off; pid {scratch}/pid; error_log {scratch}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program
    process = subprocess.Popen([program, "-c", str(scratch / "nginx.conf"), "-p", str(scratch)])
    try:
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
