"""The GGUF files in llama.cpp: the prompt's ids, the greedy text and the likelihoods of the adapter."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader
from transformers import AutoConfig

from copywriter import files, params, paths
from copywriter.errors import UserError
from copywriter.evaluation import likelihood
from copywriter.export import __main__ as command
from copywriter.export import gguf_files
from copywriter.generation import generate
from copywriter.generation.inference import trained_params
from copywriter.modeling import loading
from copywriter.prompt import Prompter, load_tokenizer
from tests.conftest import ROOT, changed
from tests.support.llama_cpp import LlamaCpp

CPU = torch.device("cpu")
TITLES = [
    "Girls Ballet Tutu Neon Pink",
    'Caf\u00e9-\u00e4hnlich 3  x 12.5" \u2013 \u00a39',
    "\u7d05\u8336 100g \U0001f9c1",
    "don't STOP",
    "x",
]
FILE = Path("out/tiny-F16.gguf")


def fields(file: Path) -> dict[str, Any]:
    """A file's fields by name."""
    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}


def ours(p: Any) -> tuple[Any, Any, Any]:
    """Tokenizer, prompts' maker and float32 model of the adapter."""
    tokenizer = load_tokenizer(paths.ADAPTER)
    return tokenizer, Prompter(tokenizer, p), loading.load_dense(paths.ADAPTER, p.quantization, torch.float32, CPU)


def greedy(model: Any, prompts: list[list[int]], end: int, p: Any, most: int) -> list[list[int]]:
    """What this project's generation writes without penalties, without the end token."""
    free = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "max_new_tokens": most}
    written = dict(generate.decode(model, prompts, end, p.decoding.model_copy(update=free)))
    return [[one for one in written[row] if one != end] for row in range(len(prompts))]


def by_llama_cpp(model: LlamaCpp, prompts: list[list[int]], end: int, most: int) -> list[list[int]]:
    return [[one for one in model.complete(prompt, most).tokens if one != end] for prompt in prompts]


def test_llama_cpp_computes_what_was_scored(trained: Any) -> None:
    gguf_files.write(paths.ADAPTER, Path("out"), trained)
    tokenizer, prompter, model = ours(trained)
    prompts = prompter.prompts(TITLES)
    examples = prompter.examples(
        TITLES, ["It holds 7 litres.", "\u4e00\u4e8c\u4e09", "Pink!  And  soft.", "Don't.", "A"]
    )
    expected = dict(likelihood.nll(model, examples))
    base = loading.load_dense(paths.BASE, "4bit", torch.float32, CPU)
    untrained = dict(likelihood.nll(base, examples))
    learned = sum(abs(untrained[row] - expected[row]) for row in expected)
    for form, share in (("F16", 0.002), ("Q8_0", 0.05)):
        llama = LlamaCpp(Path(f"out/tiny-{form}.gguf"))
        assert [llama.tokens(tokenizer.decode(ids)) for ids in prompts] == prompts
        nll = [llama.nll(one.input_ids, one.prompt_length) for one in examples]
        assert sum(abs(found - expected[row]) for row, found in enumerate(nll)) < share * learned, form
        if form == "F16":
            wanted = greedy(model, prompts, prompter.end, trained, 30)
            assert by_llama_cpp(llama, prompts, prompter.end, 30) == wanted
            assert len(set(map(tuple, wanted))) > 1


def test_a_chat_with_an_empty_system_message_gives_the_trained_prompt(trained: Any) -> None:
    gguf_files.write(paths.ADAPTER, Path("out"), trained)
    _, prompter, _ = ours(trained)
    question = trained.prompt.questions[0]
    message = trained.prompt.template.format(question=question, title=TITLES[0], facts="", neighbours="")
    llama = LlamaCpp(FILE)
    text = llama.chat_prompt([{"role": "system", "content": ""}, {"role": "user", "content": message}])
    assert llama.tokens(text) == prompter.prompts([TITLES[0]], [question])[0]


def test_files_are_deterministic_and_name_their_origin(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        monkeypatch.setattr("sys.argv", ["export", "gguf", folder])
        command.main()
    assert files.folder_hashes(Path("one")) == files.folder_hashes(Path("two"))
    assert sorted(files.folder_hashes(Path("one"))) == ["Modelfile", "NOTICE.md", "tiny-F16.gguf", "tiny-Q8_0.gguf"]
    found = fields(Path("one/tiny-F16.gguf"))
    receipt = json.loads(paths.RECEIPT.read_text())
    assert found["copywriter.base.sha256"] == receipt["base"]["sha256"]
    assert found["copywriter.adapter.sha256"] == files.sha256(paths.ADAPTER / loading.WEIGHTS)
    assert found["general.license"] == "unknown"  # sources.yaml has no entry of this name
    assert "practice-catalogue" in Path("one/NOTICE.md").read_text()


def test_a_used_folder_and_an_unknown_architecture_are_refused(
    trained: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("used").mkdir()
    Path("used/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="used is not empty"):
        gguf_files.write(paths.ADAPTER, Path("used"), trained)
    config = json.loads((paths.BASE / "config.json").read_text())
    files.write_json(paths.BASE / "config.json", config | {"model_type": "mistral"})
    monkeypatch.setattr("sys.argv", ["export", "gguf", "new"])
    with pytest.raises(SystemExit):
        command.main()
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("export: a GGUF file of a mistral model is not written here")
    assert "copywriter.export merged" in message
    assert not Path("new").exists()


@pytest.mark.skipif(
    not (ROOT / paths.ADAPTER / loading.WEIGHTS).exists(), reason="needs models/adapter and models/base"
)
def test_the_trained_adapter_writes_the_same_texts_in_llama_cpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    p = trained_params(paths.ADAPTER, params.load())
    gguf_files.write(paths.ADAPTER, tmp_path / "out", p)
    file = tmp_path / "out" / f"{loading.base_identity(paths.BASE)['model']}-F16.gguf"
    tokenizer, prompter, model = ours(p)
    prompts = prompter.prompts(TITLES)
    llama = LlamaCpp(file)
    assert [llama.tokens(tokenizer.decode(ids)) for ids in prompts] == prompts
    assert by_llama_cpp(llama, prompts, prompter.end, 40) == greedy(model, prompts, prompter.end, p, 40)


# What a published file says of its origin and form, not of how it is computed.
NAMES = {f"general.{name}" for name in ("name", "basename", "organization", "finetune", "size_label", "languages")}
NAMES |= {"general.license", "general.file_type"}


@pytest.mark.skipif(not (ROOT / paths.BASE / loading.PIN).exists(), reason="needs models/base")
def test_fields_made_from_the_base_equal_its_published_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = json.loads((ROOT / paths.BASE / loading.PIN).read_text())["source"]
    cache = Path(os.environ.get("COPYWRITER_CACHE") or Path.home() / ".cache" / "copywriter")
    found = sorted((cache / source.get("sha256", "none")).glob("*.gguf"))
    if not found:
        pytest.skip("the base was made of no GGUF file, or it is not in the cache")
    monkeypatch.chdir(ROOT)
    file = tmp_path / "base.gguf"
    config = AutoConfig.from_pretrained(paths.BASE)
    writer = gguf_files.fields(file, GGMLQuantizationType.F16, config, load_tokenizer(paths.BASE), changed())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    theirs, made = fields(found[0]), fields(file)
    asked = {name for name in theirs if not name.startswith("GGUF.")} - NAMES
    assert {name: theirs[name] for name in asked} == {name: made.get(name) for name in asked}
    assert len(asked) > 20
