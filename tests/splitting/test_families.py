"""Near-duplicates are one family, whatever the order of the rows; products that only resemble each other are not."""

import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter import shingles, text
from copywriter.records import Product
from copywriter.splitting import families

BUCKET = "A sturdy steel bucket for the garden. It holds ten litres, will not rust and hangs on any hook you have."
MUG_JA = "毎日使える陶器のマグカップです。容量は三百ミリリットルで、電子レンジと食器洗い機で使えます。"
BAG_JA = "丈夫な帆布で作った手提げ袋です。内側に小さなポケットがあり、買い物や通勤にとても便利です。"
MUG_TH = "แก้วเซรามิกสำหรับใช้ทุกวัน จุได้สามร้อยมิลลิลิตร ใช้กับไมโครเวฟและเครื่องล้างจานได้"
BAG_TH = "กระเป๋าผ้าใบเนื้อหนา มีช่องเล็กด้านใน เหมาะสำหรับจ่ายตลาดและใส่ของไปทำงาน"
KETTLE = "This kettle boils a litre of water in two minutes, then switches itself off and keeps the water warm for tea."


def together(*rows: Product) -> bool:
    return len(set(families.families(rows).tolist())) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Garden Bucket", "Garden Bucket (Paperback)"),
        ("Garden Bucket, Red", "Garden Bucket - Dark Green"),
        ("Garden Bucket 10 l", "Garden Bucket, 12 l"),
        ("Garden Bucket", "Garden Bucket, Pack of 3"),
        ("GARDEN bucket", "Bucket (garden)"),
        ("Garden Bucket, 2nd Edition [Hardcover]", "Garden Bucket: Third Revised Edition"),
        ("Red", "red!"),
        ("Ведро садовое, 10", "ведро садовое 12"),
        ("陶器のマグカップ 300", "陶器のマグカップ（350）"),
        ("แก้วเซรามิก 300", "แก้วเซรามิก, 350"),
    ],
)
def test_titles_of_one_product(one: str, other: str) -> None:
    assert together(Product(one, BUCKET), Product(other, KETTLE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Garden Bucket", "Garden Kettle"),
        ("Garden Bucket", "Garden Bucket Hook"),
        ("Red", "Blue"),
        ("12", "13"),
        ("Ведро", "Чайник"),
        ("陶器のマグカップ", "帆布の手提げ袋"),
        ("แก้วเซรามิก", "กระเป๋าผ้าใบ"),
    ],
)
def test_titles_of_two_products(one: str, other: str) -> None:
    assert not together(Product(one, BUCKET), Product(other, KETTLE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BUCKET, BUCKET),
        (BUCKET, BUCKET.upper().replace(",", " -")),
        (BUCKET, BUCKET + " Made in Wales."),
        (BUCKET, BUCKET.replace("sturdy", "solid")),
        ("Brand new.", "brand NEW"),
        ("Один два три четыре пять шесть семь", "один, два, три, четыре, пять, шесть, семь!"),
        (MUG_JA, MUG_JA.replace("。", "！").replace("、", " ")),
        (MUG_JA, MUG_JA + "色は赤です。"),
        (MUG_JA, MUG_JA.replace("三百", "四百")),
        (MUG_TH, MUG_TH.replace(" ", "")),
        (MUG_TH, MUG_TH + " สีแดง"),
    ],
)
def test_descriptions_of_one_product(one: str, other: str) -> None:
    assert together(Product("Alpha", one), Product("Omega", other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BUCKET, KETTLE),
        (BUCKET, " ".join(reversed(BUCKET.split()))),
        (BUCKET, BUCKET + " " + KETTLE + " " + KETTLE.replace("litre", "gallon")),
        ("Brand new.", "Brand new bucket."),
        ("Brand new.", BUCKET),
        ("!", "brand"),
        (MUG_JA, BAG_JA),
        (MUG_TH, BAG_TH),
        (MUG_JA, MUG_JA[25:] + MUG_JA[:5]),
    ],
)
def test_descriptions_of_two_products(one: str, other: str) -> None:
    assert not together(Product("Alpha", one), Product("Omega", other))


def test_a_chain_of_near_duplicates_is_one_family() -> None:
    rows = [
        Product("Alpha Bucket", BUCKET),
        Product("Beta", KETTLE),
        Product("Alpha Bucket, Red", "Short."),
        Product("Gamma", BUCKET),
    ]
    assert families.families(rows).tolist() == [0, 1, 0, 0]


def test_no_rows_are_no_families() -> None:
    assert families.families([]).tolist() == []


def grams(description: str) -> set[tuple[str, ...]]:
    words = text.words(description)
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))}


descriptions = st.lists(st.sampled_from("ab"), min_size=1, max_size=24).map(" ".join)  # few words, so many resemble
catalogues = st.lists(descriptions, max_size=40).map(
    lambda texts: [Product(f"title{chr(97 + at // 26)}{chr(97 + at % 26)}", one) for at, one in enumerate(texts)]
)


@settings(max_examples=60, deadline=None)
@given(catalogues)
def test_families_are_the_chains_that_brute_force_finds(rows: list[Product]) -> None:
    sets = [grams(row.description) for row in rows]
    expected = list(range(len(rows)))
    for one, other in combinations(range(len(rows)), 2):
        if len(sets[one] & sets[other]) >= 0.8 * len(sets[one] | sets[other]):
            low, high = sorted((expected[one], expected[other]))
            expected = [low if number == high else number for number in expected]
    found = families.families(rows).tolist()
    assert all(found[one] == found[number] for one, number in enumerate(expected))  # none that is missed
    for one, first in enumerate(found):  # and none that is joined without a near-duplicate in the family
        others = [at for at, number in enumerate(found) if number == first and at != one]
        assert not others or any(len(sets[one] & sets[at]) >= 0.6 * len(sets[one] | sets[at]) for at in others)


def catalogue(size: int, seed: int) -> list[Product]:
    """Rows of which some are near-duplicates of others by description, some by title, some by both."""
    rng = random.Random(seed)
    words = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
    stock = [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(size // 2)]
    return [
        Product(f"{rng.choice(words)} {rng.choice(words)} {at}", rng.choice(stock) + rng.choice(["", " more", " less"]))
        for at in range(size)
    ]


def partition(rows: Sequence[Product]) -> set[frozenset[Product]]:
    groups: dict[int, set[Product]] = {}
    for row, first in zip(rows, families.families(rows).tolist(), strict=True):
        groups.setdefault(first, set()).add(row)
    return set(map(frozenset, groups.values()))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    rows = catalogue(400, seed)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert partition(rows) == partition(shuffled)
    assert 50 < len(partition(rows)) < 350


def test_a_family_is_named_by_its_first_row() -> None:
    first = families.families(catalogue(400, 0))
    assert np.array_equal(first[first], first)
    assert np.all(first <= np.arange(400))


def test_how_rows_come_in_batches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = catalogue(300, 4)
    whole = families.families(iter(rows))
    monkeypatch.setattr(families, "_CHARACTERS", 500)
    monkeypatch.setattr(families, "_SHINGLES", 64)
    assert np.array_equal(families.families(iter(rows)), whole)


def test_other_processes_find_the_same_families() -> None:
    code = (
        "from copywriter.splitting import families; from tests.splitting.test_families import catalogue;"
        "print(families.families(catalogue(200, 5)).tolist())"
    )
    here = str(families.families(catalogue(200, 5)).tolist())
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.strip() == here


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=12))
def test_shingles_are_as_many_as_word_5_grams(texts: list[str]) -> None:
    hashes, sizes = shingles.shingles(texts)
    assert sizes.tolist() == [len(grams(one)) for one in texts]
    assert len(hashes) == sizes.sum()


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("abAB1 _-.,éßİ\n\0ाह"), max_size=40), st.text(st.sampled_from("abAB1 _-.,éß"), max_size=40)
)
def test_words_are_those_of_text_words(one: str, other: str) -> None:
    hashes, counts = shingles.word_hashes([one, other])
    words = text.words(one) + text.words(other)
    assert counts.tolist() == [len(text.words(one)), len(text.words(other))]
    assert len(set(hashes.tolist())) == len(set(words))
    assert dict(zip(words, hashes.tolist(), strict=True)) == {
        word: int(shingles.word_hashes([word])[0][0]) for word in words
    }


def test_hashes_are_the_same_on_every_machine() -> None:
    hashes, sizes = shingles.shingles([BUCKET, "Brand new.", "Ведро"])
    assert sizes.tolist() == [len(grams(BUCKET)), 1, 1]
    assert hashes[-2:].tolist() == [3_936_872_060, 330_148_122]
