"""Training and asking with neighbours: the facts that only a neighbour states reach the prompt, and are named."""

import json
from pathlib import Path

import pytest
import yaml

from copywriter import ask, params, paths, records, verify
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
