"""A checkout to stand in, a model as authors publish them, and a hub on loopback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from copywriter import files, paths, sources
from stages import fetch_model
from tests.conftest import ROOT, Quiet, served

BASE = Path("models/base")
REVISION = "a" * 40
TOKEN = "hf_averysecrettoken"
CHAT = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] | trim }}<|stop|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
FILES = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
FILES += ["tokenizer_config.json"]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout to stand in, with a cache and a mirror of its own, and no token."""
    for name in ("checkout", "mirror"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(paths, "MIRROR", tmp_path / "mirror")
    for name in ("DVC_ROOT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "checkout"


@pytest.fixture(scope="module")
def published(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as authors publish them: float32, tokens and sampling of their own, an EOS that ends no turn."""
    folder: Path = tmp_path_factory.mktemp("published") / "tiny"
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.add_special_tokens({"bos_token": "<s>", "extra_special_tokens": ["<|turn|>", "<|stop|>"]})
    tokenizer.chat_template = CHAT
    tokenizer.model_max_length = 2048
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    model.resize_token_embeddings(len(tokenizer))
    sampling = {"do_sample": True, "temperature": 0.6, "eos_token_id": [0, 1]}
    model.generation_config = GenerationConfig(**sampling)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return folder


def changed(folder: Path, to: Path, **configs: Any) -> Path:
    """A copy of a model's folder with keys of some JSON files changed (None: the key is left out)."""
    shutil.copytree(folder, to)
    for name, changes in configs.items():
        content = json.loads((to / f"{name}.json").read_text()) | changes
        kept = {key: value for key, value in content.items() if value is not None}
        (to / f"{name}.json").write_text(json.dumps(kept))
    return to


def folder_entry(path: Path) -> sources.Folder:
    return sources.Folder(kind="folder", path=path, licence="mine")


def hub_entry(**keys: Any) -> sources.Hub:
    return sources.Hub(kind="hub", repo="shop/tiny", revision=REVISION, licence="mine", **keys)


def gguf_entry(**keys: Any) -> sources.Gguf:
    return sources.Gguf(kind="gguf", licence="mine", **keys)


def stored(name: str = "tokenizer_config") -> Any:
    return json.loads((BASE / f"{name}.json").read_text())


def stage_process(entry: fetch_model.Entry, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m stages.fetch_model` for `entry`, in this working folder."""
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("model: smollm2-135m", "model: tiny"))
    page = {"datasets": {}, "models": {"tiny": entry.model_dump(mode="json")}}
    Path("sources.yaml").write_text(files.dumps(page))
    own = {"PYTHONPATH": str(ROOT), "HF_HOME": "../hf", "PYTHONHASHSEED": "7", "COPYWRITER_MIRROR": "../mirror"}
    command, environment = [sys.executable, "-m", "stages.fetch_model"], {**os.environ, **own, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def write_gguf(published: Path, file: Path, pre: str = "smollm", without: str = "") -> None:
    """The published model as llama.cpp would convert it, in float32."""
    tensors = load_file(published / "model.safetensors")
    backend: Any = AutoTokenizer.from_pretrained(published).backend_tokenizer
    content = json.loads(backend.to_str())
    vocab = sorted(backend.get_vocab(), key=backend.token_to_id)
    special = {token["content"] for token in content["added_tokens"]}
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(2)
    writer.add_context_length(1024)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(vocab))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocab)
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in vocab])
    writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
    writer.add_bos_token_id(backend.token_to_id("<s>"))
    writer.add_eos_token_id(backend.token_to_id("<|end|>"))
    writer.add_chat_template(CHAT)
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    parts |= {f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"} | {"self_attn.o_proj": "attn_output"}
    parts |= {f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")}
    for layer in (0, 1):
        names |= {f"model.layers.{layer}.{old}.weight": f"blk.{layer}.{new}.weight" for old, new in parts.items()}
    names.pop(without, None)
    for old, new in names.items():
        tensor: np.ndarray[Any, Any] = tensors[old].numpy()
        heads = 4 if "q_proj" in old else 2 if "k_proj" in old else 0
        if heads:  # llama.cpp turns neighbouring pairs, transformers halves
            halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, tensor.shape[1])
            tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
        writer.add_tensor(new, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Hub(ThreadingHTTPServer):
    """The hub's answers on loopback: one repository at one revision, or plain files; and what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[str, bytes] = {}
        self.refusal: dict[str, tuple[int, str]] = {}  # a path's beginning -> status and the hub's error code
        self.log: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, folder: Path) -> None:
        names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        for name in names:
            self.files[f"/shop/tiny/resolve/{REVISION}/{name}"] = (folder / name).read_bytes()
        sizes = {name: (folder / name).stat().st_size for name in names}
        tree = [{"type": "file", "path": name, "oid": "b" * 40, "size": size} for name, size in sizes.items()]
        self.files[f"/api/models/shop/tiny/tree/{REVISION}"] = json.dumps(tree).encode()


class HubHandler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Hub)
        path = self.path.partition("?")[0]
        self.server.log.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        refused = [answer for start, answer in self.server.refusal.items() if path.startswith(start)]
        body = self.server.files.get(path, b"")
        status, code = refused[0] if refused else (200, "") if path in self.server.files else (404, "RevisionNotFound")
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            body = b""
        elif "/resolve/" in path:
            self.send_header("ETag", f'"{files.digest(path)[:40]}"')
            self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Type", "application/json" if path.startswith("/api/") else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(Hub()) as server:
        yield server
