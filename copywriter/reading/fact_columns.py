"""Which columns state facts of a product, such as its brand or size: short texts that many rows have and few share."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from copywriter import sources
from copywriter.reading.column_names import NEVER, SHORT, description_strength, forms, plain, title_strength
from copywriter.reading.columns import Column

MOST = 6  # that are proposed
FILLED = 0.3  # of the rows with a description, at least
ROWS = 30  # so many texts are needed to judge a column by its texts alone
# By what they say, in the order of a prompt: brand, category, colour, size, material, others. The column of a paragraph
# that is filled most is proposed; of the last paragraph each may be.
_NAMES = """
brand|brand name|brands|manufacturer|maker|marca|fabricante|marke|hersteller|marque|fabricant|merk|marka
producent|vendor|марка|бренд|производитель|виробник|ブランド|メーカー|品牌|الماركة|العلامة التجارية|브랜드|제조사|märke
varumarke|znacka

category|categories|main category|product category|product type|type|google product category|department
categoria|categorias|tipo|tipo de producto|kategorie|kategorien|warengruppe|produkttyp|produktart|categorie
type de produit|kategoria|kategori|kategorier|категория|категорія|тип|カテゴリ|カテゴリー|分类|类目|分類|الفئة|카테고리

color|colour|colors|colours|color name|cor|couleur|farbe|colore|kleur|kolor|barva|renk|farg|farve|цвет|колір|色
カラー|颜色|اللون|색상

size|sizes|size name|dimensions|tamanho|talla|tamano|medidas|grosse|abmessungen|taille|misura|taglia|dimensioni
maat|rozmiar|beden|storlek|размер|розмір|サイズ|尺寸|尺码|المقاس|사이즈

material|materials|material type|fabric|composition|materia|matiere|materiale|materiaal|malzeme|материал
матеріал|состав|素材|材质|المادة|소재

gender|age group|pattern|style|flavor|flavour|scent|shape|finish|season|author|artist|publisher|genre|format
platform|genero|sexo|geschlecht|stil|muster|autor|autore|auteur|verlag|пол|автор|издательство|стиль|性別|性别
"""
_PLACES = {
    plain(name): place
    for place, paragraph in enumerate(_NAMES.strip().split("\n\n"))
    for name in re.split(r"[|\n]", paragraph)
}
_SIZE, _OTHERS, _UNNAMED = _PLACES["size"], _PLACES["gender"], _PLACES["gender"] + 1
# Words of columns that are about the shop, not the product.
_SHOP = """
status state states availability available stock inventory condition currency tax shipping fulfillment policy website
published active enabled visible visibility language locale country unit date time created updated modified position
count number quantity no code websites set source path file creator rank rating sold price cost sale discount
delivery weight grams barcode group parent index label badge feature keyword template
"""
_NO_FACT = NEVER | SHORT | frozenset(_SHOP.split())
_MACHINE = frozenset(  # what shop systems write under `type`
    ("simple", "variable", "variation", "configurable", "grouped", "external", "virtual", "bundle", "default")
)
_CURRENCY = r"(?:[$€£¥₹₽₴]|\b(?:usd|eur|gbp|inr|brl|rub|kr|zł)\b)"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_MONEY_OR_DATE = re.compile(rf"{_CURRENCY}\s?\d|\d\s?{_CURRENCY}|\b{_MONTH}\.? \d", re.IGNORECASE)


class Fact(NamedTuple):
    """A column that is proposed: as the entry names it, and its texts."""

    said: str
    name: str
    column: Column


def choose(found: Mapping[str, Column], title: str, description: str) -> list[Fact]:
    """The columns to propose as facts, at most MOST, in the order of a prompt."""
    rows = len(found[description].lengths) if description in found else 0
    taken = [found[name].texts for name in (title, description) if name in found]
    ranked: list[tuple[int, float, str]] = []
    for name, column in found.items():
        if name in (title, description) or not column.is_text or len(column.lengths) < max(1, FILLED * rows):
            continue
        place = next((_PLACES[form] for form in _forms(name) if form in _PLACES), None)
        if _is_named_fact(column, place) if place is not None else _is_fact(name, column):
            ranked.append((_UNNAMED if place is None else place, -len(column.lengths), name))
    chosen: list[Fact] = []
    places: set[int] = set()
    for place, _, name in sorted(ranked, key=lambda one: one[:2]):
        said = _said(name, {one.name.casefold() for one in chosen})
        if said and (place >= _OTHERS or place not in places) and found[name].texts not in taken:
            chosen.append(Fact(said, sources.fact_of(said)[0], found[name]))
            taken.append(found[name].texts)
            places.add(place)
    return chosen[:MOST]


def _forms(name: str) -> Iterator[str]:
    for form in forms(name.rpartition(" / ")[2]):
        yield form
        yield re.sub(r"^(?:(?:product|item|attributes?|pa|meta|custom) )+", "", form)


def _is_named_fact(column: Column, place: int) -> bool:
    """Whether a column that is called as a fact holds one: not one value, nor another in each row, nor numbers."""
    codes = () if place == _SIZE else ("number", "code")
    return (
        column.most_frequent < 0.95
        and (column.distinct < 0.95 or len(column.texts) < ROWS)
        and column.percentile(0.95) <= 100
        and column.share("url", "data", "prose", "nothing", *codes) <= 0.2
        and not {text.casefold() for text in column.texts} <= _MACHINE
    )


def _is_fact(name: str, column: Column) -> bool:
    """Whether the texts of a column whose name says nothing are those of a fact."""
    words = set(plain(name).split())
    if words & _NO_FACT or title_strength(name) > 0 or description_strength(name) > 0:
        return False
    return (
        len(column.texts) >= ROWS
        and len(set(column.texts)) >= 5
        and column.distinct <= 0.3
        and column.most_frequent <= 0.8
        and column.percentile(0.95) <= 40
        and column.share("word", "phrase", "tags") >= 0.8
        and sum(bool(_MONEY_OR_DATE.search(text)) for text in column.texts) < 0.2 * len(column.texts)
    )


def _said(column: str, taken: Iterable[str]) -> str | None:
    """A column as an entry names it: by itself, or with a name where it is none or is taken; None where that fails."""
    for said in (column, f"{next(iter(_forms(column)))}={column}", f"{plain(column)}={column}"):
        try:
            name, named = sources.fact_of(said)
        except ValueError:
            continue
        if named == column and name.casefold() not in taken:
            return said
    return None
