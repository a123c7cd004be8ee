"""Training and asking with neighbours: the facts that only a neighbour states reach the prompt, and are named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from copywriter import ask, params, paths, records, verify
from copywriter.evaluation import predictions
from copywriter.generation.generate import Generated
from copywriter.generation.inference import InferenceModel, request
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.records import Product
from copywriter.retrieval import neighbours
from stages import analyze_lengths, evaluate, retrieve, train_qlora
from tests.conftest import changed
from tests.support.training import SMALL

NOUNS = ("bucket", "lamp", "chair", "table", "shelf", "clock", "carpet", "mirror")
RETRIEVING = {"retrieval__neighbours": 1, "retrieval__max_length": 60, "retrieval__words": 8}


def product(number: int) -> Product:
    noun = NOUNS[number % len(NOUNS)]
    return Product(f"{noun} model {number} {noun[::-1]}", f"This {noun} number {number} is made of material {number}.")


@pytest.fixture
def shop(room: Path) -> params.Params:
    """A working folder with neighbours found, and the params of a small training that shows one."""
    p = changed(**{**SMALL, **RETRIEVING, "epochs": 1, "decoding__max_new_tokens": 12})
    (room / "params.yaml").write_text(yaml.safe_dump(p.model_dump()))
    records.write_products(paths.TRAIN, [product(number) for number in range(40)])
    records.write_products(paths.VALIDATION, [product(number) for number in range(100, 108)])
    records.write_products(paths.TEST, [product(number) for number in range(200, 206)])
    retrieve.run()
    return p


def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    monkeypatch.setattr("sys.argv", ["ask", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        ask.main()
    assert end.value.code == 0
    return capsys.readouterr()


def test_an_adapter_trained_with_neighbours_is_verified_and_asked_with_them(
    shop: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_qlora.run(shop)
    receipt = json.loads(paths.RECEIPT.read_text())
    shown = {neighbours.file(rows).as_posix() for rows in (paths.TRAIN, paths.VALIDATION)}
    assert shown < receipt["data"].keys()
    assert receipt["params"]["retrieval"]["neighbours"] == 1
    assert {one.verdict for one in verify.findings(paths.ADAPTER, 1)} == {"equal"}

    (Path("params.yaml")).write_text(
        yaml.safe_dump(shop.model_dump() | {"retrieval": changed().retrieval.model_dump()})
    )
    out, _ = answer(monkeypatch, capsys, "--json", "lamp model 77 pmal")
    (source,) = json.loads(out)["sources"]
    assert source["title"] == product(source["row"]).title
    assert source["title"].startswith("lamp") and 0 < source["similarity"] < 1
    assert isinstance(json.loads(out)["unsupported"], list)
    _, err = answer(monkeypatch, capsys, "lamp model 77 pmal")
    assert f"source: {source['title']} ({source['similarity']:.2f})" in err

    paths.TRAIN.unlink()
    out, err = answer(monkeypatch, capsys, "--json", "lamp model 77 pmal")
    assert "sources" not in json.loads(out)
    assert err.count("texts are written without similar products") == 1


def test_evaluation_shows_the_neighbours_of_test_rows(shop: params.Params) -> None:
    evaluate.run("base", shop)
    with_one = paths.scores("base").read_bytes()
    evaluate.run("base", shop.model_copy(update={"retrieval": changed().retrieval}))
    assert paths.scores("base").read_bytes() != with_one


def test_predictions_name_what_each_prompt_showed(shop: params.Params) -> None:
    greedy = shop.model_copy(update={"decoding": shop.decoding.model_copy(update={"candidates": 1})})
    evaluate.run("base", greedy)
    text = paths.predictions("base").read_text()
    train = records.read_products(paths.TRAIN)
    for row, nearest in zip(predictions.read(paths.predictions("base")), neighbours.read(paths.TEST, 6), strict=True):
        (source,) = row.sources
        assert (source.row, source.similarity) == nearest[0]
        assert 0 < source.words <= 8
        assert train[source.row].title not in text
    evaluate.run("base", greedy.model_copy(update={"retrieval": changed().retrieval}))
    assert "sources" not in paths.predictions("base").read_text()


def test_ask_takes_the_text_that_evaluation_takes(
    shop: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.run("base", shop)
    scored = predictions.read(paths.predictions("base"))
    model = InferenceModel(paths.BASE, shop)
    answers = model.best([request(row.title) for row in scored])
    assert [text.text for text, _ in answers] == [row.written for row in scored]
    for (_, sources), row in zip(answers, scored, strict=True):
        assert [one.row for one in sources] == [one.row for one in row.sources]
    assert any(row.tokens == 0 for row in scored)  # a neighbour's own text agrees best with the others

    out, _ = answer(monkeypatch, capsys, "--best", "--json", "--weights", "models/base", scored[0].title)
    shown = json.loads(out)
    assert (shown["written"], shown["sources"][0]["row"]) == (scored[0].written, scored[0].sources[0].row)


def test_words_that_a_prompt_shows_are_counted(shop: params.Params) -> None:
    near = [product(1), product(2)]
    tokenizer = load_tokenizer(paths.BASE)
    whole = Prompter(tokenizer, changed(**SMALL, retrieval__neighbours=2, retrieval__max_length=400))
    (prompt,) = whole.prompts(["lamp"], neighbours=[near])
    assert whole.words_shown(prompt, near) == [9, 9]
    for most in range(0, 200, 7):
        short = Prompter(tokenizer, changed(**SMALL, retrieval__neighbours=2, retrieval__max_length=max(most, 1)))
        (prompt,) = short.prompts(["lamp"], neighbours=[near])
        first, second = short.words_shown(prompt, near)
        shown = str(tokenizer.decode(prompt))
        for one, count in zip(near, (first, second), strict=True):
            words = one.description.split()
            assert " ".join(words[:count]) in shown
            assert count == 9 or " ".join(words[: count + 1]) not in shown.replace(near[0].description, "") or not count
        assert first == 9 or not second


def test_what_ask_marks_is_what_nothing_states(
    shop: params.Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "lamp model 77 pmal"
    text = "The lamp 77 XJ-900 of 5 inch, number"

    def stream(self: InferenceModel, *_: object, **options: object) -> Iterator[tuple[str, Generated | None]]:
        source = self.sources(request(title))[0]
        written = f"{text} {source.product.title.split()[2]}"  # what the source states
        yield from [(word + " ", None) for word in written.split()]
        yield "", Generated(written, True, 9)

    monkeypatch.setattr(InferenceModel, "stream", stream)
    out, err = answer(monkeypatch, capsys, "--weights", "models/base", title)
    assert "\x1b" not in out
    assert err.splitlines()[-1] == "unsupported: XJ-900, 5 inch"
    out, _ = answer(monkeypatch, capsys, "--weights", "models/base", "--json", title)
    assert json.loads(out)["unsupported"] == ["XJ-900", "5 inch"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    out, _ = answer(monkeypatch, capsys, "--weights", "models/base", title)
    assert "\x1b[4mXJ-900\x1b[24m of \x1b[4m5 inch\x1b[24m" in out


def test_lengths_count_the_neighbours_beside_title_and_description(shop: params.Params) -> None:
    analyze_lengths.run(shop)
    found = json.loads(paths.LENGTHS.read_text())
    assert found["retrieved"]["limit"] == 60
    assert found["retrieved"]["max"] > 60 > 0  # what the budget truncates is counted
    assert found["epoch"]["tokens"] > found["total"]["mean"] * 40
    parts = {line.split(",")[0] for line in paths.LENGTH_HISTOGRAM.read_text().splitlines()[1:]}
    assert parts == {"prompt", "response", "total", "retrieved"}
    analyze_lengths.run(shop.model_copy(update={"retrieval": changed().retrieval}))
    assert "retrieved" not in json.loads(paths.LENGTHS.read_text())
