"""The page's server by HTTP: no file of the host, no other page, no request lost, no connection to another machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from copywriter import paths
from copywriter.errors import UserError
from copywriter.generation.inference import request
from copywriter.page import guard, hosts
from copywriter.page.server import served
from tests.conftest import ROOT
from tests.page.conftest import Served
from tools.chromium import free_port

SECRET = "the host's secret"


@pytest.fixture
def client(site: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.address, timeout=60) as found:
        yield found


def number_of(site: Served, name: str) -> int:
    """Gradio's number of the event whose function is called so."""
    (found,) = [number for number, one in site.page.blocks.fns.items() if one.fn and one.fn.__name__ == name]
    return int(found)


def join(client: httpx.Client, number: int, data: list[Any]) -> tuple[str, httpx.Response]:
    """Asks for an event in a session of its own."""
    session = uuid.uuid4().hex[:10]
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": None, "trigger_id": 1}
    return session, client.post("gradio_api/queue/join", json=body)


def messages(client: httpx.Client, session: str) -> Iterator[dict[str, Any]]:
    """What the server sends of a session's event, until the event has ended."""
    with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                message = json.loads(line[6:])
                yield message
                if message["msg"] == "process_completed":
                    return


def asked(title: str) -> list[Any]:
    return [title, "", "", True, False, 0, 0, 0]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "file={}",
            "gradio_api/file={}",
            "gradio_api/file/{}",
            "file/{}",
            "gradio_api/file=/proc/self/cwd/secret.txt",
        ),
        *("gradio_api/file=../../../../../..{}", "gradio_api/file=..%2f..%2f..%2f..%2f..{}", "gradio_api/file=%2f{}"),
        *("gradio_api/file=file://{}", "gradio_api/file=/dev/fd/0/../../..{}", "gradio_api/file=models/../secret.txt"),
        *("assets/..{}", "assets/../../../../../..{}", "static/..%2f..%2f..%2f..%2f..{}", "assets/%2e%2e/%2e%2e{}"),
        *(
            "static//{}",
            "assets/{}",
            "static/..\\..{}",
            "theme.css/../..{}",
            "svelte/..{}",
            "//{}",
            "custom_component/a/b/c/{}",
        ),
        *("proxy=file://{}", "gradio_api/proxy=http://127.0.0.1/", "gradio_api/proxy=https://x.hf.space/"),
        *("gradio_api/stream/a/b/c/playlist.m3u8", "gradio_api/runs", "monitoring", "gradio_api/vibe-code/"),
        *("gradio_api/deep_link", "gradio_api/openapi.json", "gradio_api/info", "docs", "openapi.json", "pwa_icon"),
    ],
)
def test_no_file_of_the_host_is_answered(site: Served, client: httpx.Client, path: str) -> None:
    secret = site.folder / "secret.txt"
    secret.write_text(SECRET)
    link = site.page.uploads / "link.txt"
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    for target in (secret, link, Path("/etc/passwd")):
        # As a raw path: a client would resolve the dots.
        url = httpx.URL(site.address).copy_with(raw_path=f"/{path.format(target)}".encode())
        for method in ("GET", "HEAD", "POST"):
            answer = client.request(method, url)
            assert SECRET not in answer.text and "root:" not in answer.text
            assert answer.status_code in (403, 404, 405), (method, url)


@pytest.mark.parametrize(
    "path", ["run/predict", "api/predict", "call/predict", "component_server", "process_recording"]
)
def test_the_routes_of_programs_are_closed(client: httpx.Client, path: str) -> None:
    data = {"data": [], "component_id": 1, "fn_name": "ls", "session_hash": "a"}
    assert client.post(f"gradio_api/{path}", json=data).status_code == 404


def test_an_uploads_name_or_path_reaches_no_other_file(site: Served, client: httpx.Client) -> None:
    secret = site.folder / "titles.txt"
    secret.write_text(SECRET)
    link = site.page.uploads / "linked.txt"
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    number = number_of(site, "_read_table")
    there = str(site.page.uploads / ".." / site.folder.name / "titles.txt")
    for path in (str(secret), str(link), there, f"file://{secret}", "http://127.0.0.1:1/a.txt", "/etc/passwd"):
        for more in ({}, {"url": path}, {"url": f"{site.address}gradio_api/file={path}", "is_stream": True}):
            given = {"path": path, "orig_name": "a.txt", "meta": {"_type": "gradio.FileData"}, **more}
            session, answer = join(client, number, [given])
            assert answer.status_code == 200
            text = json.dumps(list(messages(client, session)))
            assert SECRET not in text and "root:" not in text and "rows, titles in" not in text
            assert secret.exists()  # nor is it removed as an upload is
    sent = client.post("gradio_api/upload", files={"files": ("../../../secret.txt", b"Bucket")})
    (stored,) = sent.json()
    assert Path(stored).resolve().is_relative_to(site.page.uploads.resolve())
    large = client.post("gradio_api/upload", files={"files": ("a.csv", b"x" * 5_000_000)})
    assert large.status_code == 413


def test_other_pages_and_rebound_names_are_refused(site: Served, client: httpx.Client) -> None:
    assert client.get("", headers={"Host": "evil.example"}).status_code == 403
    data = {"data": asked("Bucket"), "fn_index": number_of(site, "_write"), "session_hash": "a"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        answer = client.post("gradio_api/queue/join", json=data, headers={"Origin": origin})
        assert answer.status_code == 403
    headers = client.get("").headers
    assert headers["content-security-policy"] == guard.POLICY and "http" not in guard.POLICY.replace("https:", "")


def test_fifty_at_once_are_answered_and_those_that_leave_are_freed(site: Served) -> None:
    titles = [f"Bucket model {number}" for number in range(50)]
    tuned = (site.page.worker.models or {})["tuned"]
    expected = [one.text for one in tuned.texts([request(title) for title in titles])]
    number = number_of(site, "_write")
    all_joined = threading.Barrier(len(titles))

    def one(place: int) -> str:
        with httpx.Client(base_url=site.address, timeout=120) as client:
            session, answer = join(client, number, asked(titles[place]))
            assert answer.status_code == 200
            all_joined.wait(60)
            row = ""
            for message in messages(client, session):
                if place % 5 == 4 and message["msg"] in ("estimation", "process_starts"):
                    return "left"
                if message["msg"] == "process_generating":
                    row = json.dumps(message["output"])
            return row

    with ThreadPoolExecutor(len(titles)) as pool:
        found = list(pool.map(one, range(len(titles))))
    for place, row in enumerate(found):
        if place % 5 == 4:
            assert row == "left"
        else:
            assert json.dumps(json.dumps(expected[place], ensure_ascii=False))[1:-1] in row, place
    assert site.page.worker.wait_until_idle(30)


def test_sampling_length_and_the_choice_among_candidates_are_those_of_ask(site: Served, client: httpx.Client) -> None:
    tuned = (site.page.worker.models or {})["tuned"]
    one = request("Bucket model 7")
    drawn, short = ([text for _, text in tuned.stream(one, *given) if text] for given in ((0.7, 3), (0, 0, 5)))
    ((chosen, _),) = tuned.best([one])
    cases = (([False, 0.7, 0, 3], drawn[0]), ([False, 0, 5, 0], short[0]), ([True, 0, 0, 0], chosen))
    for settings, text in cases:
        session, _ = join(client, number_of(site, "_write"), ["Bucket model 7", "", "", False, *settings])
        generated = [json.dumps(one["output"]) for one in messages(client, session) if "output" in one]
        assert json.dumps(json.dumps(text.text, ensure_ascii=False))[1:-1] in "".join(generated)


def test_elsewhere_it_wants_a_password(shop: Path) -> None:
    with pytest.raises(UserError, match=r"--host 0.0.0.0 lets other machines reach the page; add --password"):
        hosts.check("0.0.0.0", 0, "")
    with pytest.raises(UserError, match="give at least 8"):
        hosts.check("0.0.0.0", 0, "short")
    paths.REPORT_PAGE.parent.mkdir(exist_ok=True)
    paths.REPORT_PAGE.write_text("the report")
    with (
        served(base=False, host="0.0.0.0", port=free_port(), password="long enough") as (address, page),
        httpx.Client(base_url=address.replace("0.0.0.0", "127.0.0.1"), timeout=60) as client,
    ):
        assert page.worker.loaded(60)
        here = Served(address, page, shop)
        closed = ["config", "report", "gradio_api/queue/data?session_hash=a"]
        assert {client.get(path).status_code for path in closed} == {401}
        assert join(client, number_of(here, "_write"), asked("Bucket"))[1].status_code == 401
        assert client.post("gradio_api/upload", files={"files": ("a.txt", b"a")}).status_code == 401
        assert "Similar products" not in client.get("").text
        wrong = {"username": hosts.USER, "password": "long enoug"}
        assert client.post("login", data=wrong).status_code == 400
        assert client.post("login", data=wrong | {"password": "long enough"}).status_code == 200
        assert client.get("report").text == "the report"
        assert client.get("config").status_code == 200


WATCHED = """
import ipaddress, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits an ignored one
def seen(event, arguments):
    to = arguments[1] if event == "socket.connect" else None
    if isinstance(to, tuple) and not ipaddress.ip_address(to[0]).is_loopback:
        print("CONNECTS", to, flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", "", b"127.0.0.1"):
        print("LOOKS UP", arguments[0], flush=True)
sys.addaudithook(seen)
sys.argv = ["page", *sys.argv[1:]]
runpy.run_module("copywriter.page", run_name="__main__")
"""


def test_the_command_serves_without_adapter_or_index_and_connects_nowhere(shop: Path, tmp_path: Path) -> None:
    for name in ("params.yaml", "models/base"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(shop / name)
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0", "LANG": "pt_BR.UTF-8", "LC_ALL": ""}
    command = [sys.executable, "-c", WATCHED, "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        lines = iter(process.stderr.readline, "")
        told = [next(line for line in lines if "page: http" in line), next(line for line in lines if "ready" in line)]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=60) as client:
            page = client.get("").text
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 cannot be used; choose another with --port"):
            hosts.check("127.0.0.1", port, "")
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
    assert told[0].startswith(f"page: http://127.0.0.1:{port}")
    assert "models/adapter não existe; só o modelo base responde" in page
    assert "data/train.parquet não existe" in page
    assert out == ""
    assert process.returncode == 130
