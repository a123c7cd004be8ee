"""The names under which shops keep a product's title and its description, in the languages that they export in."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

# The first of each pair are exact names for the thing; the second name it too, but also other things.
_TITLES = """
title|name|product title|product name|item name|item title|post title|product|item|productname|producttitle|itemname
titulo|nome|titulo do produto|nome do produto|produto|titulo del producto|nombre|nombre del producto|producto|articulo
titolo|nome prodotto|nome del prodotto|titolo prodotto|prodotto|articolo|denominazione
titre|nom|nom du produit|titre du produit|produit|intitule|designation|libelle
titel|produktname|artikelname|produkttitel|produktbezeichnung|artikelbezeichnung|bezeichnung|artikel|produkt
naam|productnaam|artikelnaam|namn|produktnamn|navn|produktnavn|nimi|tuotenimi|nazev|nazev produktu|nazov
tytul|nazwa|nazwa produktu|nazwa towaru|tytul oferty|nume|denumire|titlu|nume produs|nev|termeknev|megnevezes
baslik|urun adi|urun ismi|urun basligi|urun|isim|ad|adi|ten|ten san pham|nama|nama produk|judul
название|наименование|имя|заголовок|название товара|наименование товара|название позиции|товар
назва|найменування|назва товару|назва позиції|назва продукту
商品名|タイトル|名前|製品名|品名|名称|商品タイトル|商品の名前
标题|商品名称|产品名称|商品标题|产品标题|产品名|宝贝名称|宝贝标题|標題|名稱|商品名稱|產品名稱|商品標題
الاسم|العنوان|اسم المنتج|عنوان المنتج|اسم|عنوان|المنتج
상품명|제품명|이름|제목|τιτλος|ονομα|ονομα προιοντος|שם|כותרת|שם מוצר|שם המוצר|ชื่อ|ชื่อสินค้า
"""
_DESCRIPTIONS = """
description|product description|long description|item description|full description|description html|html description
productdescription|itemdescription|longdescription|fulldescription
descricao|descricao do produto|descricao completa|descricao longa|descricao detalhada
descripcion|descripcion del producto|descripcion larga|descripcion completa|descripcion detallada
descrizione|descrizione prodotto|descrizione del prodotto|descrizione completa|descrizione estesa|descrizione lunga
description du produit|description longue|description complete|descriptif|descriptif long
beschreibung|produktbeschreibung|artikelbeschreibung|langbeschreibung|langtext|beschrijving|omschrijving
beskrivning|produktbeskrivning|beskrivelse|produktbeskrivelse|kuvaus|popis|popis produktu|leiras|termekleiras|descriere
opis|opis produktu|opis dlugi|pelny opis|opis szczegolowy|opis towaru
aciklama|urun aciklamasi|detayli aciklama|uzun aciklama|urun detayi|mo ta|deskripsi|deskripsi produk
описание|описание товара|полное описание|подробное описание|детальное описание|описание позиции
опис|опис товару|повний опис|детальний опис|опис позиції
商品説明|説明|商品説明文|説明文|商品の説明|商品紹介|製品説明|紹介文|商品詳細|詳細説明
描述|商品描述|产品描述|产品说明|商品说明|说明|详情|商品详情|产品详情|详细描述|宝贝描述|商品介绍|产品介绍
產品描述|商品說明|說明|詳細描述|產品說明|商品介紹
الوصف|وصف|وصف المنتج|وصف المنتج الكامل
상품설명|제품설명|설명|상세설명|περιγραφη|תיאור|תיאור מוצר|תיאור המוצר|คำอธิบาย|รายละเอียดสินค้า
"""
_ALSO_DESCRIPTIONS = """
content|text|body|body html|details|about|post content|product details|about product|overview
detalhes|texto|conteudo|detalles|contenido|testo|contenuto|dettagli|texte|contenu|details du produit|tresc
icerik|detay|tanim|текст|содержание|текст товара|вміст|зміст|詳細|内容|本文|介绍|內容|介紹|التفاصيل|تفاصيل|المحتوى
"""
_SHORT = """
short kurz kurzbeschreibung kurztext corta curta breve courte resume resumo resumen krotki kisa kratkoe excerpt summary
teaser subtitle untertitel caption краткое краткий короткий короткое 短い 概要 简短 簡短 مختصر bullet bullets
"""
_NEVER = """
seo meta og google metadesc metadescription metatitle wpseo yoast rankmath keyword keywords tag tags url urls link links
image images img photo photos foto fotos bild picture pictures alt src slug handle vendor brand marca marke marque
manufacturer hersteller supplier author category categories categoria categorie kategorie kategoria collection type
sku mpn gtin ean upc barcode id asin color colour size warranty shipping policy return returns review reviews
email phone address seller store shop user customer file variant option attribute ingredients
"""
_PRODUCT = (
    "product item article artikel produkt produto producto produit prodotto товар товара urun listing goods the of"
)
_LANGUAGES = (
    "en de fr es it pt br nl pl tr ru uk ua ja jp zh cn tw ar ko kr cs sk hu ro sv da no fi el he us gb html text"
)
_INNER_CAPITAL = re.compile("(?<=[a-z])(?=[A-Z][a-z])")


@cache
def plain(name: str) -> str:
    """A name in lower case without accents, its words separated by one space each."""
    name = _INNER_CAPITAL.sub(" ", name)  # productName, bodyHtml
    folded = unicodedata.normalize("NFKD", name.casefold()).translate({305: "i", 322: "l", 248: "o", 273: "d"})
    kept = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[^\W_]+", kept))


def _table(*weighted: tuple[str, float]) -> dict[str, float]:
    return {plain(name): weight for text, weight in weighted for line in text.split("\n") for name in line.split("|")}


def _words(text: str) -> frozenset[str]:
    return frozenset(plain(word) for word in text.split())


TITLES = {name: weight for name, weight in _table((_TITLES, 3.0)).items() if name}
DESCRIPTIONS = {
    name: weight for name, weight in _table((_ALSO_DESCRIPTIONS, 2.5), (_DESCRIPTIONS, 3.0)).items() if name
}
SHORT, NEVER, PRODUCT, LANGUAGES = map(_words, (_SHORT, _NEVER, _PRODUCT, _LANGUAGES))
# Amazon's templates: item_name[marketplace_id=...][language_tag=...]#1.value
_QUALIFIERS = re.compile(r"\[[^\]]*\]|#\d+(?:\.\w+)*$")
# Scripts without spaces between words: a longer name contains the word.
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")


def title_strength(name: str) -> float:
    """How much a column's name speaks for titles: 3 for an exact name, 0 for none, less where it speaks against."""
    return _strength(name, TITLES)


def description_strength(name: str) -> float:
    """How much a column's name says that it holds descriptions, as title_strength; short descriptions have less."""
    words = plain(name).split()
    short = any(word in SHORT for word in words) or any(word in plain(name) for word in SHORT if _UNSPACED.match(word))
    return _strength(name, DESCRIPTIONS) - short


def forms(name: str) -> tuple[str, str, str, str]:
    """The plain forms by which a name may be known: whole, the last of a path, and both without a language."""
    name = _QUALIFIERS.sub(" ", name)
    whole = plain(name)
    own = plain(re.split(r"[.:](?=.)", name)[-1])  # of a path `product.name`, of an XML name `g:title`
    return whole, own, _without_language(whole), _without_language(own)


def _strength(name: str, table: dict[str, float]) -> float:
    whole, *others = forms(name)
    for candidate in (whole, *others):
        if candidate in table:
            return table[candidate]
    words = [word for word in whole.split() if word not in LANGUAGES]
    never = any(word.rstrip("0123456789") in NEVER for word in words)
    rest = [word for word in words if word not in table or word in PRODUCT]
    if len(rest) < len(words) or any(word in whole for word in table if _UNSPACED.match(word) and len(word) > 1):
        named = 2.0 if table is DESCRIPTIONS or all(word in PRODUCT for word in rest) else 1.0
        return named - 3 * never
    return -3.0 * never


def _without_language(name: str) -> str:
    words = name.split()
    while len(words) > 1 and words[-1] in LANGUAGES:
        words.pop()
    return " ".join(words)


def names_both(cells: Iterable[str]) -> bool:
    """Whether cells hold an exact name of titles and one of descriptions, as a header does."""
    names = [cell for cell in cells if cell and len(cell) <= 60]
    return any(title_strength(name) >= 3 for name in names) and any(description_strength(name) >= 3 for name in names)
