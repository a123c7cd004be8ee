"""Which columns are the title and the description: by what they hold above all, and never with a wrong certainty."""

import pytest

from copywriter.reading import column_names, columns
from copywriter.reading.columns import Choice, Column, kind

SHORT = [f"{color} {thing}" for color in ("Red", "Blue", "Green") for thing in ("mug", "jug", "bowl", "lamp")]
PROSE = [
    f"A {title.lower()} for the kitchen. It holds {number} ml and is made of {'clay' if number % 2 else 'tin'}."
    for number, title in enumerate(SHORT)
]
LONG = [f"{text} {' '.join(PROSE[n:])}" for n, text in enumerate(PROSE)]
TEASERS = [f"Buy {title.lower()} online today with free delivery in the whole country" for title in SHORT]
URLS = [f"https://shop.example/{n}.jpg, https://shop.example/{n}b.jpg" for n in range(12)]
TAGS = [f"mug, kitchen, gift {n % 3}, clay, tea" for n in range(12)]
CODES = ["en:to-be-completed, en:to-be-checked"] * 12
VENDORS = ["Shop Ltd"] * 12


def choose(**held: list[str]) -> tuple[Choice, Choice]:
    found: dict[str, Column] = {}
    for name, texts in held.items():
        column = found.setdefault(name, Column())
        for text in filter(None, texts):
            column.add(text)
    return columns.choose(found)


def chosen(**held: list[str]) -> tuple[str | None, str | None]:
    title, description = choose(**held)
    return title.name, description.name


HEADERS = [
    ("Título", "Descrição", "Descrição para SEO"),
    ("Nombre", "Descripción", "Meta descripción"),
    ("Nome prodotto", "Descrizione", "Descrizione breve"),
    ("Titre", "Description", "Méta-description SEO"),
    ("Artikelname", "Beschreibung", "Kurzbeschreibung"),
    ("Nazwa", "Opis", "Opis krótki"),
    ("Ürün Adı", "Açıklama", "Kısa açıklama"),
    ("Название", "Описание", "Краткое описание"),
    ("Назва", "Опис", "Короткий опис"),
    ("商品名", "商品説明", "SEO説明"),
    ("标题", "描述", "简短描述"),
    ("الاسم", "الوصف", "SEO الوصف"),
]


@pytest.mark.parametrize("names", HEADERS)
def test_headers_are_known_in_many_languages(names: tuple[str, str, str]) -> None:
    held = dict(zip(names, (SHORT, PROSE, TEASERS), strict=True))
    assert chosen(SKU=[f"S{n}" for n in range(12)], **held) == names[:2]


@pytest.mark.parametrize("other", [URLS, TAGS, CODES, VENDORS, [str(n) for n in range(12)], SHORT])
@pytest.mark.parametrize("name", ["Description", "Details", "x"])
def test_running_text_wins_over_any_name(other: list[str], name: str) -> None:
    assert chosen(a=SHORT, b=PROSE, **{name: other})[1] == "b"


@pytest.mark.parametrize("other", [URLS, CODES, VENDORS, [str(n) for n in range(12)]])
def test_without_a_description_none_is_chosen(other: list[str]) -> None:
    assert chosen(Title=SHORT, Description=other) == ("Title", None)
    assert choose(Title=SHORT, Vendor=other)[1] == Choice(None)


def test_a_teaser_for_search_engines_is_no_description() -> None:
    assert chosen(Title=SHORT, **{"SEO Description": TEASERS})[1] is None
    assert chosen(Title=SHORT, **{"Meta: metadesc": PROSE})[1] is None
    assert chosen(Title=SHORT, teaser_line=TEASERS, text=PROSE)[1] == "text"


def test_two_columns_of_running_text_are_shown_and_none_is_chosen() -> None:
    title, description = choose(name=SHORT, first=PROSE, second=[text.replace("kitchen", "house") for text in PROSE])
    assert title.name == "name"
    assert description.name is None
    assert [one.name for one in description.candidates] == ["first", "second"]
    assert all(one.column.texts for one in description.candidates)


def test_texts_in_two_languages_are_shown() -> None:
    other = [text.replace("A ", "Eine ") for text in PROSE]
    assert len(choose(name=SHORT, description_en=PROSE, description_de=other)[1].candidates) == 2


def test_a_column_that_is_filled_far_more_often_is_shown_too() -> None:
    assert chosen(name=SHORT, description=PROSE[:1], long_text=PROSE)[1] is None


def test_equal_columns_are_no_choice_to_make() -> None:
    assert chosen(name=SHORT, description=PROSE, content=PROSE) == ("name", "description")


@pytest.mark.parametrize("title", ["produktnamn", "col_b", "Label"])
def test_titles_are_the_short_texts_that_differ(title: str) -> None:
    held = {"Category": ["Cups", "Jugs", "Bowls"] * 4, "Brand": VENDORS, "link": URLS, title: SHORT, "col_c": LONG}
    assert chosen(**held) == (title, "col_c")


def test_a_column_of_numbers_is_no_title() -> None:
    found = {"name": Column(others=9), "label": Column([8], 0, ["Red mug"]), "text": Column([90], 0, PROSE[:1])}
    title, description = columns.choose(found)
    assert (title.name, description.name) == ("label", "text")


KINDS = {
    "prose": [
        "A red mug.",
        "お茶のための赤いマグカップです。",
        "Кружка для чая.",
        "<p>It holds tea.</p>",
        "كوب أحمر للشاي.",
    ],
    "tags": ["mug, red, clay", "Home > Kitchen > Mugs", "Sugar, palm oil, hazelnuts 13%"],
    "url": ["https://a.example/b.jpg", "//a.example/b", "a.jpg|b.png", "www.shop.example"],
    "code": ["en:to-be-completed", "S0", "red-mug", "gid://shop/Product/1", "B000123ABC"],
    "number": ["4.00", "2024-01-01", "12 x 20 cm 4711"],
    "phrase": ["Red mug", "Mug No. 5 red", "赤いマグカップ"],
    "word": ["Bowl", "Чашка"],
    "data": ['{"a": 1}', "[{'a': 1}]"],
    "nothing": [" ", "<br>"],
}


@pytest.mark.parametrize(("expected", "text"), [(name, text) for name, texts in KINDS.items() for text in texts])
def test_texts_are_of_a_kind(expected: str, text: str) -> None:
    assert kind(text) == expected


def test_names_say_less_where_they_say_something_else() -> None:
    assert column_names.title_strength("Brand name") < 0 < column_names.title_strength("Product name")
    assert column_names.title_strength("item_name[marketplace_id=A1][language_tag=en_US]#1.value") == 3
    assert column_names.description_strength("Image description") < 0
    assert column_names.description_strength("Description (HTML)") == 3
