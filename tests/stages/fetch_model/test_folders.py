"""models/base has one form whatever was published, with equal bytes from equal input, and its EOS ends a turn."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from copywriter import files, tokenizer_check
from copywriter.errors import UserError
from copywriter.fetching import stored_weights
from stages import fetch_model
from tests.stages.fetch_model.conftest import (
    BASE,
    CHAT,
    FILES,
    TOKEN,
    Hub,
    changed,
    folder_entry,
    gguf_entry,
    hub_entry,
    stage_process,
    stored,
)

# One form


def test_a_folder_becomes_models_base_with_equal_bytes_in_two_processes(published: Path, hub: "Hub") -> None:
    summary = fetch_model.fetch_model("tiny", folder_entry(published), BASE)
    hashes = files.folder_hashes(BASE)
    assert "parameters in bfloat16, <|stop|> ends a turn" in summary
    assert sorted(hashes) == sorted([*FILES, "pin.json"])
    done = stage_process(folder_entry(published), HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr  # libraries are quiet
    assert files.folder_hashes(BASE) == hashes
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
        assert text == files.dumps(json.loads(text))
        assert not [word for word in ("version", str(published), "temperature", "is_local") if word in text]


def test_the_pin_says_where_the_files_are_from(published: Path, checkout: Path) -> None:
    shutil.copytree(published, checkout / "tiny")
    fetch_model.fetch_model("tiny", folder_entry(Path("tiny")), BASE)
    read = AutoTokenizer.from_pretrained(published)
    assert stored("pin") == {
        "model": "tiny",
        "source": {"kind": "folder", "path": "tiny"},
        "licence": "mine",
        "files": files.folder_hashes(BASE, leave_out=("pin.json",)),
        "tokenizer": tokenizer_check.check("tiny", BASE, lambda text: read(text)["input_ids"], "its tokenizer.json"),
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
    files.write_json(checkout / "gemma" / "chat_template.json", template)  # as Gemma's processor keeps it

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
