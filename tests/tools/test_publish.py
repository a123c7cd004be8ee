"""publish: adapter and card in one commit, nothing that does not belong together, the token in headers alone."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, constants

from copywriter import files, paths
from copywriter.errors import UserError
from copywriter.modeling import loading
from stages import train_qlora
from tests.conftest import ROOT, Quiet, room_in, served, stand_in
from tests.generation.test_generate import prepare
from tools import publish

TOKEN = "hf_averysecrettoken"
REPO = "shop/tutus"
CARD = '---\nlicense: mit\n---\n# A card of {sha256}\n\n    model.load_adapter("models/adapter")\n'


class Hub(ThreadingHTTPServer):
    """A hub's answers to a push: repositories, the check of a card, large files, commits; and what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refusal: dict[str, tuple[int, dict[str, Any]]] = {}  # a part of the path -> status and answer
        self.log: list[tuple[str, str, dict[str, str], bytes]] = []
        self.large: dict[str, bytes] = {}
        self.commits: list[dict[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON for a request."""
        for part, refusal in self.refusal.items():
            if part in path:
                return refusal
        if "/lfs/" in path and path.startswith("/lfs/"):
            assert hashlib.sha256(body).hexdigest() == path.rpartition("/")[2]
            self.large[path.rpartition("/")[2]] = body
            return 200, {}
        if "/commit/" in path:
            self.commits.append(self.committed(body))
            sent = f"{self.url}/{REPO}/commit/{'c' * 40}"
            return 200, {"success": True, "commitOid": "c" * 40, "commitUrl": sent, "hookOutput": ""}
        if not body:
            return 404, {"error": "not found"}
        given = json.loads(body)
        if "/preupload/" in path:
            mode = {True: "lfs", False: "regular"}
            found = [(one["path"], mode[one["path"].endswith(".safetensors")]) for one in given["files"]]
            return 200, {"files": [{"path": name, "uploadMode": how, "shouldIgnore": False} for name, how in found]}
        if path.endswith("/objects/batch"):
            upload = {one["oid"]: {"upload": {"href": f"{self.url}/lfs/{one['oid']}"}} for one in given["objects"]}
            return 200, {"objects": [one | {"actions": upload[one["oid"]]} for one in given["objects"]]}
        if path == "/api/repos/create":
            return 200, {"url": f"{self.url}/{REPO}"}
        assert path == "/api/validate-yaml"
        return 200, {"errors": [], "warnings": []}

    def committed(self, body: bytes) -> dict[str, bytes]:
        """The files of a commit."""
        lines = [json.loads(line) for line in body.splitlines()]
        small = {
            one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in lines if one["key"] == "file"
        }
        large = {one["value"]["path"]: self.large[one["value"]["oid"]] for one in lines if one["key"] == "lfsFile"}
        assert len(small) + len(large) == len(lines) - 1
        return small | large


class Handler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Hub)
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        self.server.log.append(
            (self.command, path, {name.lower(): value for name, value in self.headers.items()}, body)
        )
        status, answer = self.server.answer(path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_GET = do_POST  # noqa: N815


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(Hub()) as server:
        yield server


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A checkout with an adapter that dvc.lock names, and its card."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        room_in(folder, tiny_base, patch)
        train_qlora.run(prepare(folder, epochs=0))
    (folder / "metrics/model_card.md").write_text(
        CARD.format(sha256=files.sha256(folder / "models/adapter" / loading.WEIGHTS))
    )
    stage = {"cmd": "true", "outs": [str(paths.ADAPTER)]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train_qlora": stage}}))
    for command in ("git init -q", "dvc init -q", "dvc commit --force -q"):
        subprocess.run(command.split(), cwd=folder, check=True)
    return folder


@pytest.fixture
def checkout(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to stand in, without a token."""
    folder = tmp_path / "checkout"
    shutil.copytree(made, folder)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return stand_in(folder, monkeypatch)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m tools.publish` here."""
    own = {"PYTHONPATH": str(ROOT), "HF_HOME": "../hf", "COPYWRITER_RUNS": "runs", "HOME": ".."}
    return subprocess.run(
        [sys.executable, "-m", "tools.publish", *arguments],
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
    )


def test_adapter_and_card_arrive_in_one_commit_without_the_token(checkout: Path, hub: Hub) -> None:
    before = files.folder_hashes(paths.ADAPTER)
    done = command(REPO, HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/{REPO}/commit/" in done.stderr
    (sent,) = hub.commits
    card = sent.pop("README.md").decode()
    assert {name: hashlib.sha256(content).hexdigest() for name, content in sent.items()} == before
    assert str(ModelCard(card).data) == "license: mit"
    assert f'load_adapter("{REPO}")' in card and "models/adapter" not in card
    assert files.folder_hashes(paths.ADAPTER) == before
    created = [json.loads(body) for _, path, _, body in hub.log if path == "/api/repos/create"]
    assert created == [{"name": "tutus", "organization": "shop", "visibility": "private"}]
    for method, path, headers, body in hub.log:
        allowed = headers.pop("authorization", None)
        assert allowed == (None if method == "PUT" else f"Bearer {TOKEN}"), path
        assert TOKEN not in path + json.dumps(headers) and TOKEN.encode() not in body
    copies = [file for file in checkout.parent.rglob("*") if file.is_file()]
    assert len(copies) > 20 and not [file for file in copies if TOKEN.encode() in file.read_bytes()]
    assert TOKEN not in done.stdout + done.stderr


def test_a_repository_that_exists_takes_another_commit(
    checkout: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub, monkeypatch)
    hub.refusal["/api/repos/create"] = (
        409,
        {"error": "You already created this model repo", "url": f"{hub.url}/{REPO}"},
    )
    publish.push(publish.gathered(REPO), REPO, TOKEN, public=True)
    assert len(hub.commits) == 1
    assert [json.loads(body)["visibility"] for _, path, _, body in hub.log if path == "/api/repos/create"] == ["public"]


def use(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this process's hub the one of loopback, without Xet, as the command's environment does."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


REFUSALS: dict[str, tuple[dict[str, tuple[int, dict[str, Any]]], str]] = {
    "token": ({"/api": (401, {"error": TOKEN})}, r"the hub answers 401\); set HF_TOKEN to a token that may write"),
    "rights": ({"/api": (403, {"error": "no"})}, r"the hub answers 403\); set HF_TOKEN to a token that may write"),
    "hidden": ({"/preupload/": (404, {"error": "no"})}, r"the hub answers 404\); mend REPO"),
    "branch": ({"/commit/": (403, {"error": "no"})}, r"the hub answers 403\); set HF_TOKEN"),
    "large file": ({"/lfs/": (403, {"error": "no"})}, r"the hub answers 403\); set HF_TOKEN"),
    "broken": ({"/create": (500, {"error": "no"})}, r"the hub answers 500\); check the connection"),
    "card": (
        {"/validate-yaml": (400, {"errors": [{"message": f'"base_model" is not valid {TOKEN}'}]})},
        r'Invalid metadata in README.md. - "base_model" is not valid HF_TOKEN\); mend the entries of sources.yaml',
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_one_sentence(name: str, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub, monkeypatch)
    hub.refusal, message = REFUSALS[name]
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / loading.WEIGHTS).write_bytes(b"weights")
    with pytest.raises(UserError, match=f"^{REPO} was not published .*{message}") as error:
        publish.push(tmp_path, REPO, TOKEN, public=False)
    assert TOKEN not in str(error.value) and "\n" not in str(error.value)
    assert not hub.commits


def test_a_hub_that_is_not_there_is_one_sentence(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub, monkeypatch)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the port of "discard"
    with pytest.raises(UserError, match=r"was not published \(ConnectError\); check the connection"):
        publish.push(tmp_path, REPO, TOKEN, public=False)


def test_without_a_token_or_a_name_nothing_is_asked(checkout: Path, hub: Hub) -> None:
    for arguments, message in (((REPO,), "HF_TOKEN is not set"), (("",), "is no name of a repository")):
        done = command(*arguments, HF_ENDPOINT=hub.url)
        assert done.returncode == 1
        assert message in done.stderr.splitlines()[-1]
    assert not hub.log


def damage(checkout: Path) -> None:
    (checkout / "models/adapter/tokenizer.json").write_text("{}")


def other_base(checkout: Path) -> None:
    pin = json.loads((checkout / "models/base/pin.json").read_text())
    files.write_json(checkout / "models/base/pin.json", pin | {"files": {"model.safetensors": "0" * 64}})


def no_base(checkout: Path) -> None:
    shutil.rmtree(checkout / "models/base")


def other_adapter(checkout: Path) -> None:
    """One that is whole and of the same base, but not the one that was recorded."""
    told = json.loads((checkout / paths.RECEIPT).read_text())
    of = {key: value for key, value in told.items() if key != "sha256"} | {"fingerprint": "another"}
    files.write_json(checkout / paths.RECEIPT, of | {"sha256": files.digest(of)})


def other_card(checkout: Path) -> None:
    (checkout / paths.MODEL_CARD).write_text(CARD.format(sha256="0" * 64))


def no_card(checkout: Path) -> None:
    (checkout / paths.MODEL_CARD).unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage, r"is not what its receipt says \(tokenizer.json .*run 'dvc checkout models/adapter'"),
        (other_base, "was trained on tiny, but models/base holds other weights of that name"),
        (no_base, "models/base/pin.json is missing; run 'dvc repro fetch_model'"),
        (other_adapter, "is not the one that dvc.lock names"),
        (other_card, "metrics/model_card.md is another adapter's; run 'dvc repro report'"),
        (no_card, "metrics/model_card.md is missing; run 'dvc repro report'"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: Any, message: str, checkout: Path) -> None:
    publish.gathered(REPO)
    shutil.rmtree("runs")
    change(checkout)
    with pytest.raises(UserError, match=message):
        publish.gathered(REPO)
    assert not Path("runs").exists()


def test_dry_makes_the_folder_and_asks_nobody(checkout: Path, hub: Hub) -> None:
    done = command("--dry", REPO, HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    found = files.folder_hashes(Path("runs/publish"), ("README.md",))
    assert found == files.folder_hashes(paths.ADAPTER)
    assert not hub.log


@pytest.mark.parametrize(("given", "options"), [("", ""), ("PUBLIC=1", "--public")])
def test_make_types_this_command(given: str, options: str) -> None:
    words = ["make", "--no-print-directory", "-n", "-o", ".venv/ready", "publish", f"REPO={REPO}", *given.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["python", "-m", "tools.publish", f'"{REPO}"', *options.split()]
