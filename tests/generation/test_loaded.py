"""What `ask` loads on a CPU: without transformers where the results are equal to its own, else with it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from copywriter import files, paths, prompt
from copywriter.errors import UserError
from copywriter.generation import generate, kv_cache, loaded, plain_llama, plain_tokenizer
from copywriter.generation.decode_batch import DecodeBatch
from copywriter.generation.sampling import Sampler
from copywriter.modeling import loading
from copywriter.modeling.loading import load_dense
from copywriter.prompt import Prompter
from copywriter.tokenizer_check import TEXTS
from tests.conftest import ROOT, changed

CPU = torch.device("cpu")
SLOW = {"transformers", "torch._dynamo", "sympy", "peft", "bitsandbytes", "datasets", "scipy.optimize", "pandas"}


def logits(model: Any) -> list[torch.Tensor]:
    """The logits of some decoding steps behind two prompts of different length."""
    found: list[torch.Tensor] = []

    def sampler(scores: torch.Tensor, *state: torch.Tensor) -> torch.Tensor:
        found.append(scores)
        return scores.argmax(-1)

    sampler.padding, sampler.end = 461, -1  # type: ignore[attr-defined]
    with torch.inference_mode(), kv_cache.enabled(model):
        batch = DecodeBatch(model, 2, 9, 6, sampler, compiled=False)  # type: ignore[arg-type]
        batch.insert([0, 1], [[1, 50, 60, 70, 80, 90, 100, 110, 120], [3, 4, 5]], [6, 6])
        for _ in range(6):
            batch.step()
    return found


@pytest.mark.parametrize("quantization", ["4bit", "none"])
def test_a_plain_llama_has_the_bits_of_transformers(tiny_base: Path, quantization: str) -> None:
    model, _ = loaded.load(tiny_base, quantization, torch.float32, CPU)
    assert isinstance(model, plain_llama.PlainLlama)
    ours, theirs = logits(model), logits(load_dense(tiny_base, quantization, torch.float32, CPU))
    assert len(ours) == 6
    assert all(map(torch.equal, ours, theirs))


def test_a_model_with_its_own_output_layer_has_the_bits_too(tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "model")
    config = LlamaConfig.from_pretrained(tiny_base, tie_word_embeddings=False, rms_norm_eps=1e-3)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    model, _ = loaded.load(tmp_path / "model", "none", torch.float32, CPU)
    assert isinstance(model, plain_llama.PlainLlama)
    assert all(map(torch.equal, logits(model), logits(load_dense(tmp_path / "model", "none", torch.float32, CPU))))


def test_an_adapter_is_merged_with_equal_bits(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_base, paths.BASE)
    paths.ADAPTER.mkdir()
    for file in prompt.tokenizer_files(paths.BASE):
        shutil.copy(file, paths.ADAPTER)
    layer, shape = "base_model.model.model.layers.1.mlp.up_proj", (128, 64)
    random = torch.Generator().manual_seed(1)
    tensors = {
        f"{layer}.lora_A.weight": torch.randn(4, shape[1], generator=random),
        f"{layer}.lora_B.weight": torch.randn(shape[0], 4, generator=random),
    }
    save_file(tensors, paths.ADAPTER / loading.WEIGHTS)
    files.write_json(paths.ADAPTER / "adapter_config.json", {"peft_type": "LORA", "lora_alpha": 8})
    files.write_json(paths.ADAPTER / loading.RECEIPT, {"base": loading.base_identity(paths.BASE)})
    model, _ = loaded.load(paths.ADAPTER, "4bit", torch.float32, CPU)
    assert isinstance(model, plain_llama.PlainLlama)
    base, _ = loaded.load(paths.BASE, "4bit", torch.float32, CPU)
    ours = logits(model)
    assert all(map(torch.equal, ours, logits(load_dense(paths.ADAPTER, "4bit", torch.float32, CPU))))
    assert not torch.equal(ours[0], logits(base)[0])
    files.write_json(paths.ADAPTER / loading.RECEIPT, {"base": {"model": "tiny", "sha256": "another"}})
    with pytest.raises(UserError, match="was trained on tiny, but models/base holds other weights"):
        loaded.load(paths.ADAPTER, "4bit", torch.float32, CPU)


def test_prompts_and_texts_are_those_of_transformers(tiny_base: Path) -> None:
    plain, whole = plain_tokenizer.read(tiny_base), prompt.load_tokenizer(tiny_base)
    assert plain is not None
    ids = whole(list(TEXTS), add_special_tokens=False)["input_ids"]
    assert plain(TEXTS, add_special_tokens=False)["input_ids"] == ids
    some = [*ids, [0, 1, 60, 0]]
    for skip in (True, False):
        assert [plain.decode(one, skip_special_tokens=skip) for one in some] == [
            whole.decode(one, skip_special_tokens=skip) for one in some
        ]
    assert set(plain.all_special_tokens) == set(whole.all_special_tokens)
    titles = ["Neon tutu <|end|>", "Bucket"]
    both = [Prompter(one, changed(max_length=160)) for one in (plain, whole)]  # type: ignore[arg-type]
    assert both[0].prompts(titles) == both[1].prompts(titles)
    assert both[0].end == both[1].end


def rewritten(folder: Path, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "model_type", "mistral"),
        ("config.json", "attention_bias", True),
        ("config.json", "hidden_act", "gelu"),
        ("config.json", "rope_parameters", {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}),
        ("config.json", "num_hidden_layers", 3),  # the file has fewer tensors
        ("tokenizer_config.json", "tokenizer_class", "LlamaTokenizer"),
        ("tokenizer_config.json", "clean_up_tokenization_spaces", True),
        ("tokenizer_config.json", "add_prefix_space", True),
        ("tokenizer_config.json", "unk_token", "<|added by transformers|>"),
        ("chat_template.jinja", "", "{{ bos_token }}{{ messages }}"),
        ("chat_template.jinja", "", "{% generation %}{{ messages }}{% endgeneration %}"),
    ],
)
def test_anything_unusual_is_left_to_transformers(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, key: str, value: Any
) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "model"))
    if key:
        rewritten(folder, file, lambda content: content.update({key: value}))
    else:
        (folder / file).write_text(value)
    monkeypatch.setattr(loading, "load_dense", lambda *given: "transformers' model")
    monkeypatch.setattr(prompt, "load_tokenizer", lambda *given: "transformers' tokenizer")
    found: Any = loaded.load(folder, "none", torch.float32, CPU)
    assert found == ("transformers' model", "transformers' tokenizer")


def test_the_first_letter_waits_for_no_slow_import(tiny_base: Path) -> None:
    program = (
        "import sys; from pathlib import Path; import copywriter.generation.session; from copywriter import params\n"
        "from copywriter.generation.inference import InferenceModel, Request\n"
        "p = params.load(); p = p.model_copy(update={'retrieval': p.retrieval.model_copy(update={'neighbours': 0})})\n"
        "model = InferenceModel(Path(sys.argv[1]), p)\n"
        "assert len(list(model.stream(Request('Bucket')))) > 1\n"
        f"print({SLOW} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tiny_base)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"


def test_a_text_is_the_same_from_both(tiny_base: Path) -> None:
    decoding = changed().decoding.model_copy(update={"max_new_tokens": 20})
    texts = []
    dense = load_dense(tiny_base, "4bit", torch.float32, CPU)
    for model, tokenizer in (
        loaded.load(tiny_base, "4bit", torch.float32, CPU),
        (dense, prompt.load_tokenizer(tiny_base)),
    ):
        sampler = Sampler(decoding, 0, 461, 0.9)
        texts.append(list(generate.stream(model, tokenizer, [1, 50, 60], decoding, sampler, random_stream=5)))
    assert texts[0] == texts[1]
    assert len(texts[0]) > 2
