"""The hub: only what is asked for, the token only where it is wanted, every refusal a sentence."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from copywriter import files
from copywriter.errors import UserError
from stages import fetch_model
from tests.stages.fetch_model.conftest import (
    BASE,
    FILES,
    REVISION,
    TOKEN,
    Hub,
    changed,
    gguf_entry,
    hub_entry,
    stage_process,
    stored,
    write_gguf,
)


def test_a_gated_repository_is_downloaded_with_the_token_in_its_header_alone(
    published: Path, checkout: Path, hub: Hub
) -> None:
    repository = changed(published, checkout.parent / "repository")
    (repository / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(published).save_pretrained(repository, max_shard_size="200KB")
    wanted = {file.name for file in repository.iterdir()}
    (repository / "original").mkdir()
    for name in ("pytorch_model.bin", "consolidated.safetensors", "original/model.safetensors", "modeling_shop.py"):
        (repository / name).write_bytes(b"not wanted")
    hub.publish(repository)
    done = stage_process(hub_entry(gated=True), HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert sorted(files.folder_hashes(BASE)) == sorted([*FILES, "pin.json"])
    asked = [path.rpartition("/")[2] for _, path, _ in hub.log if "/resolve/" in path]
    assert set(asked) == wanted
    assert len(list(repository.glob("model-*.safetensors"))) > 1
    for _, path, headers in hub.log:
        assert headers.pop("authorization") == f"Bearer {TOKEN}"
        assert TOKEN not in path + json.dumps(headers)
    written = [file for file in checkout.parent.rglob("*") if file.is_file()]
    assert not [file for file in written if TOKEN.encode() in file.read_bytes()]
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ({"/shop/tiny/resolve": (403, "GatedRepo")}, "answers 403); accept its licence on {url}/shop/tiny and set HF_"),
        ({"/api": (401, "GatedRepo")}, "answers 401); accept its licence on {url}/shop/tiny and set HF_TOKEN to"),
        ({"/api": (403, "-")}, "answers 403); accept its licence on {url}/shop/tiny and set HF_TOKEN to"),
        ({"/api": (404, "RevisionNotFound")}, "answers 404); correct repo and revision in sources.yaml"),
    ],
)
def test_refusals_are_one_sentence(
    published: Path, hub: Hub, refusal: dict[str, tuple[int, str]], message: str
) -> None:
    hub.publish(published)
    hub.refusal = refusal
    done = stage_process(hub_entry(gated=True), HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    sentence = f"fetch_model: shop/tiny at revision {REVISION} cannot be downloaded (the hub "
    assert done.returncode == 1
    assert sentence + message.format(url=hub.url) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert not BASE.exists()


def test_a_gated_repository_without_a_token_is_not_even_asked(hub: Hub) -> None:
    done = stage_process(hub_entry(gated=True), HF_ENDPOINT=hub.url)
    assert done.stderr.splitlines()[-1].startswith("fetch_model: shop/tiny is gated: accept its licence")
    assert hub.log == []


def test_a_hub_that_is_not_there_is_one_sentence() -> None:
    done = stage_process(hub_entry(), HF_HUB_OFFLINE="1")  # a refused connection says the same, after 20 s of retries
    assert done.returncode == 1
    assert "cannot be downloaded (LocalEntryNotFoundError); check the connection" in done.stderr.splitlines()[-1]


def test_a_gguf_file_of_a_hub_repository(published: Path, checkout: Path) -> None:
    (checkout.parent / "mirror" / "shop--tiny").mkdir()
    write_gguf(published, checkout.parent / "mirror" / "shop--tiny" / "tiny.gguf")
    place = {"repo": "shop/tiny", "revision": REVISION, "file": "tiny.gguf"}
    fetch_model.fetch_model("tiny", gguf_entry(**place), BASE)
    assert stored("pin")["source"] == {"kind": "gguf", "gated": False, **place}
    with pytest.raises(UserError, match=r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"):
        fetch_model.fetch_model("tiny", gguf_entry(**place, sha256="0" * 64), BASE)
    with pytest.raises(UserError, match=r"shop/tiny has no file other\.gguf; correct the entry of model tiny"):
        fetch_model.fetch_model("tiny", gguf_entry(**place | {"file": "other.gguf"}), BASE)
