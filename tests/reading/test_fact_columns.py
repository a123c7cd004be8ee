"""Which columns are proposed as facts: short, varied and filled, by name or by texts; never numbers of the shop."""

import pytest

from copywriter import sources
from copywriter.reading import fact_columns
from copywriter.reading.columns import Column

COUNT = 60
BRANDS = ["Acme", "Bolt & Co", "Cora", "Dunn", "Elm", "Fox"]
WORDS = ["red", "blue", "dark green", "white", "black", "sand", "rose", "gold"]
TITLES = [f"{WORDS[n % 8]} thing {chr(97 + n % 26)}{n}" for n in range(COUNT)]
PROSE = [f"This thing is number {n}. It is very nice to have and lasts for long." for n in range(COUNT)]


def cycled(values: list[str]) -> list[str]:
    return [values[(n * 7 + n // 5) % len(values)] for n in range(COUNT)]


def proposed(held: dict[str, list[str]], count: int = COUNT) -> list[str]:
    found: dict[str, Column] = {}
    for name, texts in {"title": TITLES, "description": PROSE, **held}.items():
        column = found.setdefault(name, Column())
        for text in filter(None, texts[:count]):
            column.add(text)
    return [one.said for one in fact_columns.choose(found, "title", "description")]


def test_known_names_come_in_the_order_of_a_prompt() -> None:
    held = {
        "Material": cycled(["wool", "oak", "steel"]),
        "sku": [f"A-{n}" for n in range(COUNT)],
        "size": cycled(["S", "M", "42", "10 x 20 cm"]),
        "Farbe": cycled(WORDS),
        "product_type": cycled(["Lamps", "Mugs", "Home > Rugs"]),
        "brand": cycled(BRANDS),
    }
    assert proposed(held) == ["brand", "product_type", "Farbe", "size", "Material"]


@pytest.mark.parametrize(
    "name", ["Marca", "Hersteller", "Marque", "производитель", "品牌", "details.Brand", "g:brand", "attribute:pa_brand"]
)
def test_names_of_many_languages_and_forms_are_known(name: str) -> None:
    (said,) = proposed({name: cycled(BRANDS)}, 12)
    assert sources.fact_of(said)[1] == name


NOT_FACTS = {
    "one value": ["Shop Ltd"] * COUNT,
    "nearly one value": ["Shop Ltd"] * (COUNT - 2) + ["Other", "Third"],
    "ids": [f"B00{n:05}" for n in range(COUNT)],
    "another text in each row": [f"model of {word}" for word in TITLES],
    "prices": cycled(["12.99", "4.50", "7", "8.20", "99"]),
    "prices with a currency": cycled(["$12.99", "4.50 EUR", "USD 7", "R$ 8", "99 €"]),
    "addresses": cycled([f"https://a.example/{n}.jpg" for n in range(8)]),
    "dates": cycled(["2024-01-05", "2024-02-06", "Jan 5, 2023", "2023-03-04", "Mar 9, 2020"]),
    "codes": cycled(["in_stock", "out_of_stock", "pre-order", "back_order", "gone_1"]),
    "stock": cycled(["0", "3", "14", "5", "6"]),
    "running text": cycled(PROSE[:6]),
    "rarely filled": [(BRANDS * 2)[n] if n < 12 else "" for n in range(COUNT)],
    "data": cycled(['{"a": 1}', '{"b": 2}', '{"c": 3}', '{"d": 4}', '{"e": 5}']),
}


@pytest.mark.parametrize("what", NOT_FACTS)
@pytest.mark.parametrize("name", ["brand", "extra"])
def test_other_columns_are_not_proposed_whatever_their_name(what: str, name: str) -> None:
    assert proposed({name: NOT_FACTS[what]}) == []


@pytest.mark.parametrize("name", ["availability", "SEO title", "Meta: keywords", "Status", "tax_class", "short text"])
def test_columns_about_the_shop_are_not_proposed(name: str) -> None:
    assert proposed({name: cycled(WORDS)}) == []


def test_an_unknown_name_needs_rows_that_prove_it() -> None:
    held = {"Duftnote": cycled(WORDS)}
    assert proposed(held) == ["Duftnote"]
    assert proposed(held, 20) == []


def test_one_column_of_each_kind_and_six_in_all() -> None:
    held: dict[str, list[str]] = {"manufacturer": cycled(BRANDS), "brand": cycled(BRANDS[::-1])}
    held["manufacturer"][0] = ""
    assert proposed(held) == ["brand"]
    more = {f"Eigenschaft {letter}": cycled(WORDS[n:] + WORDS[:n]) for n, letter in enumerate("abcdefgh")}
    assert len(proposed(held | more)) == fact_columns.MOST


def test_titles_are_never_facts() -> None:
    assert proposed({"color": TITLES, "Image text": cycled(WORDS)}) == []


def test_what_is_proposed_works_in_an_entry() -> None:
    held = {"color[language_tag=en_US]#1.value": cycled(WORDS), "a.size": cycled(["S", "M"]), "b.Size": cycled(["1 l"])}
    said = proposed(held | {"Farbe=innen (Stoff)": cycled(BRANDS)})
    assert said[:2] == ["color=color[language_tag=en_US]#1.value", "a.size"]
    columns = [sources.fact_of(one)[1] for one in said]
    assert set(columns) <= {*held, "Farbe=innen (Stoff)"}
