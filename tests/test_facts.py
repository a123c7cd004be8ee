"""A fact that decides the text, and that no title states, is learnt, evaluated and asked for; others are refused."""

import itertools
import json
from pathlib import Path

import pytest
import yaml

from copywriter import params, paths, records, verify
from copywriter.errors import UserError
from copywriter.generation import inference
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product
from stages import analyze_lengths, evaluate, train_qlora
from tests.conftest import changed
from tests.support.training import SMALL, mark_of
from tests.test_ask import Terminal, run

TEXTS = {"steel": "Hard steel.", "wool": "Soft wool.", "oak": "Old oak.", "glass": "Clear glass."}
SYLLABLES = ["".join(pair) for pair in itertools.product("bdfgklmnprst", "aeiou")]
NAMES = ["material", "brand"]
LIMITS = {"max_length": 128, "max_prompt_length": 100, "decoding__max_new_tokens": 8}


def products(with_facts: bool = True) -> list[Product]:
    found = []
    for number, (one, other, third) in enumerate(zip(SYLLABLES, SYLLABLES[7:], SYLLABLES[13:], strict=False)):
        material = list(TEXTS)[number % len(TEXTS)]
        lines = f"material: {material}" + "\nbrand: Acme" * (number % 3 == 0)
        found.append(Product(f"{one}{other} {other}{third}", TEXTS[material], lines if with_facts else ""))
    return found


def prepare(with_facts: bool, **changes: object) -> params.Params:
    """Rows and params of a small training in the current folder."""
    p = changed(**{**SMALL, **LIMITS, "advanced__eval_steps": 1000, **changes})
    Path("params.yaml").write_text(yaml.safe_dump(p.model_dump()))
    rows, names = products(with_facts), NAMES if with_facts else []
    for file, some in ((paths.TRAIN, rows[:36]), (paths.VALIDATION, rows[36:]), (paths.TEST, rows[36:42])):
        records.write_products(file, some, names)
    return p


def validation_loss(with_facts: bool) -> float:
    """The loss of new products after a training, of an adapter that verify finds to be what its receipt says."""
    p = prepare(with_facts, epochs=20)
    train_qlora.run(p)
    receipt = json.loads(paths.RECEIPT.read_text())
    assert receipt.get("facts", []) == (NAMES if with_facts else [])
    return float(list(receipt["validation_losses"].values())[-1])


def test_a_fact_that_decides_the_text_lowers_the_loss(room: Path) -> None:
    without = validation_loss(with_facts=False)
    assert validation_loss(with_facts=True) < without - 0.3
    assert {one.verdict for one in verify.findings(paths.ADAPTER, 1)} == {"equal"}


def test_rows_with_facts_have_another_fingerprint(room: Path) -> None:
    marks = {mark_of(prepare(with_facts), {"model": "tiny"}) for with_facts in (True, False)}
    assert len(marks) == 2


def test_evaluation_and_lengths_have_the_prompts_of_training(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = prepare(True)
    seen: list[list[str]] = []
    make = Prompter.prompts

    def watched(self: Prompter, *given: object, **more: object) -> list[list[int]]:
        found = make(self, *given, **more)  # type: ignore[arg-type]
        seen.append([str(self.tokenizer.decode(ids)) for ids in found])
        return found

    monkeypatch.setattr(Prompter, "prompts", watched)
    evaluate.run("base", p)
    assert all(row.facts in shown for texts in seen for row, shown in zip(products()[36:42], texts, strict=True))
    analyze_lengths.run(p)
    lengths = json.loads(paths.LENGTHS.read_text())
    prompter = Prompter(load_tokenizer(paths.BASE), p)
    whole = make(prompter, [row.title for row in products()[:36]], facts=[row.facts for row in products()[:36]])
    assert lengths["prompt"]["mean"] == pytest.approx(sum(map(len, whole)) / 36, abs=0.01)
    assert (lengths["facts"]["rows"], lengths["facts"]["rows_truncated"]) == (36, 0)


def test_lengths_count_the_rows_whose_facts_are_cut(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p = prepare(True, max_prompt_length=66)
    analyze_lengths.run(p)
    found = json.loads(paths.LENGTHS.read_text())
    assert 0 < found["facts"]["rows_truncated"] == found["prompt"]["rows_over_limit"] < 36
    assert f"of {found['facts']['rows_truncated']} rows they are truncated" in capsys.readouterr().err
    analyze_lengths.run(prepare(False))
    assert "facts" not in json.loads(paths.LENGTHS.read_text())


@pytest.fixture
def asked(room: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts of an untrained adapter of rows with facts, as they are made."""
    train_qlora.run(prepare(True, epochs=0))
    seen: list[str] = []
    make = Prompter.prompts

    def watched(self: Prompter, *given: object, **more: object) -> list[list[int]]:
        found = make(self, *given, **more)  # type: ignore[arg-type]
        seen.extend(str(self.tokenizer.decode(ids)) for ids in found)
        return found

    monkeypatch.setattr(Prompter, "prompts", watched)
    return seen


def test_ask_states_facts_in_the_order_of_the_training(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--fact", "Brand=R&amp;D <b>Ltd</b>", "--fact", "material=oak=wood"]
    code, out, _ = run(monkeypatch, capsys, *given, "--json", "Bada fo")
    assert code == 0
    assert "Title: Bada fo\nmaterial: oak=wood\nbrand: R&D Ltd<|end|>" in asked[-1]
    assert json.loads(out)["facts"] == {"material": "oak=wood", "brand": "R&D Ltd"}
    _, out, _ = run(monkeypatch, capsys, "--compare", "--fact", "brand=Acme", "Bada fo")
    assert out.startswith("base: ") and sum("Title: Bada fo\nbrand: Acme<|end|>" in one for one in asked) >= 2
    _, out, _ = run(monkeypatch, capsys, "--fact", "brand=", "--json", "Bada fo")
    assert "facts" not in json.loads(out)


def test_titles_of_a_file_or_a_terminal_have_facts_of_their_own_or_all_the_same(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        *('{"title": "Ba", "facts": {"brand": ["Acme", "Co"]}}', "Bo", '{"title": "Bu", "facts": {"size": 4}}'),
        *('{"title": "Be", "facts": "Acme"}', '{"title": "Bi", "facts": {"brand": {"a": 1}}}'),
    ]
    code, out, _ = run(monkeypatch, capsys, "--fact", "material=oak", stdin="\n".join(lines))
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row.get("facts") for row in rows[:2]] == [{"material": "oak", "brand": "Acme, Co"}, {"material": "oak"}]
    assert "'size' is not a fact of the adapter; it knows material, brand" in rows[2]["error"]
    assert 'write {"title": "...", "facts": {"brand": "..."}}' in rows[3]["error"]
    assert "is an object" in rows[4]["error"]
    typed = iter(["Ba", "Bo", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    monkeypatch.setattr(Terminal, "isatty", lambda self: True)
    asked.clear()
    assert run(monkeypatch, capsys, "--fact", "brand=Acme")[0] == 0
    assert asked and all("\nbrand: Acme<|end|>" in one for one in asked)


def test_a_fact_that_the_adapter_does_not_know_is_refused(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, "--fact", "colour=red", "Bada")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "'colour' is not a fact of the adapter; it knows material, brand" in err
    train_qlora.run(prepare(False, epochs=0))
    code, out, err = run(monkeypatch, capsys, "--fact", "brand=Acme", "Bada")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "the adapter was trained without facts" in err
    code, _, err = run(monkeypatch, capsys, "--fact", "brand", "Bada")
    assert code == 2 and "write NAME=VALUE, such as brand=Acme" in err


def test_other_weights_take_facts_of_any_name() -> None:
    assert inference.trained_facts(paths.BASE) is None
    assert inference.ordered_facts({"size": 4, "brand": "Acme"}, None) == "size: 4\nbrand: Acme"
    with pytest.raises(UserError, match="is no name of a fact"):
        inference.ordered_facts({"brand\nsize": "Acme"}, None)
