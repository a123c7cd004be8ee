"""Numbers with their units in a text: what a shop page states as fact, and what a model most easily makes up."""

import re

# One name for the spellings of a unit, English ones. After another word the number alone counts.
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
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_SIGNS = {'"': "in", "”": "in", "″": "in", "'": "ft", "′": "ft", "%": "%", "°": "deg", "\u2126": "ohm", "\u03a9": "ohm"}
_FACT = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+(?:,\d{1,2}(?!\d))?)"  # 1,200.5 · .5 · 12 · 2,5
    rf"(?:\s?([{''.join(_SIGNS)}])(?!\w)|[\s-]?([A-Za-z]+)(?![A-Za-z]))?"
)

Fact = tuple[float, str]


def facts(text: str) -> set[Fact]:
    """The distinct (number, unit) pairs of `text`; the unit is "" where none of those known follows the number.

    "10-ohm", "10 Ohms" and "10Ω" are one fact. A number inside a word, as in "NS-M300" or "B12", is one too.
    """
    found = set()
    for number, sign, word in _FACT.findall(text):
        plain = number.replace(",", "") if re.search(r",\d{3}", number) else number.replace(",", ".")
        found.add((float(plain), _SIGNS.get(sign) or _UNITS.get(word.lower(), "")))
    return found


def invented(text: str, source: str) -> set[Fact]:
    """The facts of `text` that `source` does not state: its number is not there, or not with this unit."""
    stated = facts(source)
    numbers = {number for number, _ in stated}
    return {fact for fact in facts(text) if fact not in stated and (fact[1] or fact[0] not in numbers)}
