"""Loss on supported sentences only: the tokens without loss are those of sentences with an unsupported number."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import params, paths, records
from copywriter.modeling import loading
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.records import Product
from copywriter.retrieval.neighbours import Context
from copywriter.training.supported_loss import supported_only
from stages import train_qlora
from tests.conftest import changed
from tests.support.training import CPU, SMALL, prepare

NEIGHBOUR = Product("Zinc pail 12 l", "It holds 12 litres. Made in 1987 by hand.")


def prompter(p: params.Params) -> Prompter:
    return Prompter(load_tokenizer(paths.BASE), p)


def without_loss(one: Prompter, row: Product, context: Context | None = None) -> tuple[Example, list[str]]:
    """The example of a row, and the text of each part without loss."""
    shown = None if context is None else [context]
    (made,) = one.examples([row.title], [row.description], shown, [row.facts])
    (example,) = supported_only(one, [made], [row], shown)
    assert dataclasses.replace(example, untrained=()) == made
    return example, [
        str(one.tokenizer.decode(example.input_ids[start:end])).strip() for start, end in example.untrained
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Product("Bucket 10 l", "It holds 10 l. It weighs 2 kg. It is blue."), ["It weighs 2 kg."]),
        (Product("Bucket", "It is blue. Seven of them fit."), []),
        (Product("Bucket", "10 years warranty."), ["10 years warranty."]),
        (Product("Bucket", "Blue. For XJ-900. Red. 5 cm. Green."), ["For XJ-900.", "Red. 5 cm."]),
        (Product("Bucket", "It weighs 2 kg.", "Weight: 2 kg"), []),
        (Product("Bucket", "Holds ½ l. Blue."), ["Holds ½ l."]),
    ],
)
def test_sentences_with_a_number_that_title_and_facts_lack(room: Path, row: Product, expected: list[str]) -> None:
    assert without_loss(prompter(changed(**SMALL)), row)[1] == expected


def test_a_number_of_the_shown_neighbour_supports_a_sentence(room: Path) -> None:
    row = Product("Pail", "It holds 12 litres. It is of 1987.")
    p = changed(max_length=400, max_prompt_length=100, retrieval__neighbours=1, retrieval__max_length=200)
    assert without_loss(prompter(p), row, [NEIGHBOUR])[1] == []
    assert without_loss(prompter(p), row, [])[1] == ["It holds 12 litres.", "It is of 1987."]
    few = p.model_copy(update={"retrieval": p.retrieval.model_copy(update={"words": 5})})  # its year is not shown
    assert without_loss(prompter(few), row, [NEIGHBOUR])[1] == ["It is of 1987."]


def test_a_truncated_row_loses_only_what_it_has(room: Path) -> None:
    row = Product("Bucket", "It is blue. " * 10 + "It weighs 2 kg. " * 10)
    example, parts = without_loss(prompter(changed(**SMALL)), row)
    assert example.cut
    assert all(end < len(example.input_ids) for _, end in example.untrained)  # the end token is trained
    assert not any("blue" in part for part in parts)


def likelihood_of_weights(room: Path, train_on_unsupported: bool) -> tuple[float, float]:
    """After a short training: the mean NLL of a sentence that has no support, and the share of tokens without loss."""
    p = prepare(room, epochs=4, advanced__train_on_unsupported=train_on_unsupported)
    rows = [Product(f"Bucket {n}", f"It is blue. It weighs {n % 7 + 50} kg. Do buy it.") for n in range(40)]
    records.write_products(paths.TRAIN, rows)
    train_qlora.run(p)
    one = prompter(p)
    example, _ = without_loss(one, rows[0])
    ((start, end),) = example.untrained
    model = loading.load_dense(paths.ADAPTER, p.quantization, torch.float32, CPU)
    ids = torch.tensor([example.input_ids])
    with torch.inference_mode():
        found = torch.nn.functional.cross_entropy(
            model(input_ids=ids).logits[0, start - 1 : end - 1], ids[0, start:end]
        )
    receipt = json.loads((paths.ADAPTER / "receipt.json").read_text())
    return float(found), receipt["untrained_tokens"] / receipt["tokens_per_epoch"]


def test_a_sentence_without_support_is_not_learnt(room: Path) -> None:
    learnt, none = likelihood_of_weights(room, train_on_unsupported=True)
    unlearnt, some = likelihood_of_weights(room, train_on_unsupported=False)
    assert none == 0
    assert 0.1 < some < 0.5
    assert unlearnt > learnt + 0.5


PARTS = (
    "It is blue.",
    "It weighs 2 kg.",
    "Fits 10 l.",
    "Für Gäste!",
    "Nº 7 | blau",
    "Holds ½ l.",
    "青い。",
    "重さ5 kg。",
)


@given(some=st.lists(st.sampled_from(PARTS), min_size=1, max_size=6), joint=st.sampled_from([" ", "\n"]))
@settings(max_examples=60)
def test_no_digit_without_support_has_a_loss(tiny_base: Path, some: list[str], joint: str) -> None:
    p = changed(max_length=400, max_prompt_length=100)
    one = Prompter(load_tokenizer(tiny_base), p)
    row = Product("Bucket 10 l", joint.join(some))
    (made,) = one.examples([row.title], [row.description])
    (example,) = supported_only(one, [made], [row], None)
    without = {at for start, end in example.untrained for at in range(start, end)}
    trained = [at for at in range(example.prompt_length, len(example.input_ids)) if at not in without]
    text = one.tokenizer.decode([example.input_ids[at] for at in trained])
    assert not any(digit in text for digit in ("2", "7", "½", "5"))
    assert ("10" in text) == ("Fits 10 l." in some)
    assert trained[-1] == len(example.input_ids) - 1
