"""Unsupported numbers: quantities in a text that its title does not state.

Numbers and units are what customers rely on, and what a language model most easily makes up.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from copywriter.evaluation.metric import Context, Counts, Metric, Score, Values
from copywriter.evaluation.predictions import Prediction

# One name for the spellings of a unit, English ones. Before any other word a number has no unit.
_SPELLINGS = {
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "mil": "mil mils",
    "oz": "oz ounce ounces",
    "lb": "lb lbs pound pounds",
    "mg": "mg milligram milligrams",
    "g": "g gm gms gram grams",
    "kg": "kg kgs kilogram kilograms",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "l": "l liter liters litre litres ltr",
    "gal": "gal gallon gallons",
    "qt": "qt quart quarts",
    "v": "v volt volts vac vdc",
    "a": "a amp amps ampere amperes",
    "ma": "ma milliamp milliamps",
    "mah": "mah",
    "w": "w watt watts",
    "kw": "kw kilowatt kilowatts",
    "hp": "hp horsepower",
    "ohm": "ohm ohms",
    "hz": "hz hertz",
    "khz": "khz",
    "mhz": "mhz",
    "ghz": "ghz",
    "kb": "kb",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "mp": "mp megapixel megapixels",
    "rpm": "rpm",
    "psi": "psi",
    "db": "db decibel decibels",
    "f": "f fahrenheit",
    "c": "c celsius",
    "deg": "degree degrees",
    "%": "percent",
    "pack": "pack packs",
    "pc": "pc pcs piece pieces",
    "sec": "sec second seconds",
    "min": "min minute minutes",
    "h": "hr hrs hour hours",
    "day": "day days",
    "year": "year years",
}
_CYRILLIC = {  # without single letters, which also number the items of a list
    "мм": "mm", "см": "cm", "мг": "mg", "кг": "kg", "мл": "ml", "вт": "w", "гц": "hz", "гб": "gb", "шт": "pc",
}
_UNSPACED = {  # units of languages without spaces: anything may follow them
    **{"ミリ": "mm", "センチ": "cm", "メートル": "m", "インチ": "in", "グラム": "g", "リットル": "l", "ワット": "w"},
    **{"毫米": "mm", "厘米": "cm", "公分": "cm", "米": "m", "英寸": "in", "克": "g", "千克": "kg", "公斤": "kg", "毫升": "ml", "升": "l"},
    **{"ซม": "cm", "มม": "mm", "กก": "kg", "กรัม": "g", "ลิตร": "l", "นิ้ว": "in"},
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_UNITS |= _CYRILLIC | _UNSPACED
_SYMBOLS = {'"': "in", "”": "in", "″": "in", "'": "ft", "′": "ft", "%": "%", "°": "deg", "\u2126": "ohm", "\u03a9": "ohm"}
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, Burmese, Khmer, kana, Han
_WORD = "|".join(f"[{letters}]+(?![{letters}])" for letters in ("A-Za-z", "\u0400-\u04ff"))
_FULLWIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # "１０ｃｍ" is "10cm"
_QUANTITY = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+(?:,\d{1,2}(?!\d))?)"  # 1,200.5 · .5 · 12 · 2,5
    rf"(?:\s?([{''.join(_SYMBOLS)}])(?![^\W{_NO_SPACES}])"
    rf"|[\s-]?(?:({'|'.join(sorted(_UNSPACED, key=len, reverse=True))})|({_WORD})))?"
)

Quantity = tuple[float, str]


def quantities(text: str) -> set[Quantity]:
    """The distinct (number, unit) pairs of `text`; the unit is "" where no known unit follows the number.

    "10-ohm", "10 Ohms" and "10Ω" are equal. A number inside a word counts too, as in "NS-M300" or "B12".
    """
    found = set()
    for number, symbol, unspaced, word in _QUANTITY.findall(text.translate(_FULLWIDTH)):
        plain = number.replace(",", "") if re.search(r",\d{3}", number) else number.replace(",", ".")
        found.add((float(plain), _SYMBOLS.get(symbol) or _UNITS.get(unspaced or word.lower(), "")))
    return found


def unsupported(text: str, source: str) -> set[Quantity]:
    """The quantities of `text` that `source` does not state: its number is missing there, or has another unit."""
    stated = quantities(source)
    numbers = {number for number, _ in stated}
    return {one for one in quantities(text) if one not in stated and (one[1] or one[0] not in numbers)}


def count(rows: Sequence[Prediction], context: Context) -> Counts:
    """Quantities missing in the title, 1 where there is one, and quantities missing in both title and reference."""
    title = [len(unsupported(one.written, one.title)) for one in rows]
    both = [len(unsupported(one.written, f"{one.title}\n{one.reference}")) for one in rows]
    return np.stack([title, np.array(title) > 0, both], axis=1).astype(np.int64)


def combine(sums: Mapping[str, Values]) -> dict[str, Values]:
    """Means over the rows."""
    return {score.key: sums[column] / sums["rows"] for column, score in zip(METRIC.columns, METRIC.scores, strict=True)}


METRIC = Metric(
    name="unsupported_numbers",
    columns=("invented", "with_invented", "unconfirmed"),  # renaming columns would change every statistics file
    scores=(
        Score(
            "unsupported_numbers",
            "numbers not in the title",
            place=100,
            without_reference=True,
            explanation="**Numbers not in the title**: numbers, with their units, that a text states and its title "
            "does not, a text. The catalogue knows its products and may state them; a model makes them up.",
        ),
        Score(
            "texts_with_unsupported_numbers",
            "texts with such a number",
            place=101,
            scale="share",
            without_reference=True,
        ),
        Score("unconfirmed_numbers", "numbers in neither title nor reference", place=102, better=-1),
    ),
    count=count,
    combine=combine,
)
