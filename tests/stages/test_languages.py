"""A catalogue in Portuguese, Russian and Japanese goes through clean, sample and split like one in English."""

import json
from pathlib import Path

import pytest

from copywriter import records
from stages import clean, sample, split
from tests.conftest import changed
from tests.support import languages


@pytest.fixture(autouse=True)
def cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[records.Product]:
    monkeypatch.chdir(tmp_path)
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    lines = [json.dumps({"title": title, "content": text}) for title, text in languages.rows()]
    (raw / "shop.jsonl").write_text("\n".join(lines))
    fields = {"dataset": "shop", "title": "title", "description": "content", "licence": "ours"}
    (raw / "manifest.json").write_text(json.dumps({"files": {"shop.jsonl": {}}, **fields}))
    assert clean.run(changed(), processes=1) == "108 of 111 rows kept; 3 duplicate pair"
    return records.read_products(Path("data/clean.parquet"))


def test_faults_of_exports_are_removed_in_each_language(cleaned: list[records.Product]) -> None:
    texts = [row.description for row in cleaned[:3]]
    assert texts[0].endswith("à máquina de lavar. Cor: Vermelho.")
    assert texts[1].endswith("в посудомоечной машине. Цвет: Красная.")
    assert texts[2].endswith("食器洗い機に対応しています。 色は赤です。")
    assert not any(set(row.description) & set("<>[]\\&_") for row in cleaned)
    counts = json.loads(Path("metrics/clean_counts.json").read_text())["changed"]
    assert {name: count for name, count in counts.items() if count} == {
        "escapes": 74,
        "entities": 37,
        "shortcodes": 37,
        "tags": 111,
        "spaces": 111,
    }


def test_the_variants_of_a_product_are_one_family(cleaned: list[records.Product]) -> None:
    found = split.find_families(cleaned).names
    families = [{found[at] for at in range(number, 108, 36)} for number in range(36)]
    assert all(len(family) == 1 for family in families)
    assert len(set.union(*families)) == 36


def test_sample_and_split_deal_every_row_to_one_set() -> None:
    given = changed(sample__size=108)
    sample.run(given)
    split.run(given)
    sets = {part: records.read_products(file) for part, file in split.FILES.items()}
    assert {part: len(rows) for part, rows in sets.items()} == {"train": 90, "validation": 9, "test": 9}
    products = [{row.title.rpartition(" ")[0].rstrip(",") for row in rows} for rows in sets.values()]
    assert sum(map(len, products)) == len(set.union(*products)) == 36
