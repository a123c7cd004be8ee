"""Numbers with units and model codes of a text, and those of them that other texts do not state.

They are what customers rely on, and what a language model most easily makes up. Number words ("five") are not read.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# One name for the spellings of a unit, without accents. Before any other word a number has no unit.
_SPELLINGS = {
    "in": "in inch inches polegada polegadas pulgada pulgadas pouce pouces zoll pollice pollici дюйм дюйма дюймов",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mm": "mm millimeter millimeters millimetre millimetres milimetro milimetros мм миллиметров",
    "cm": "cm centimeter centimeters centimetre centimetres centimetro centimetros zentimeter см сантиметров",
    "m": "m meter meters metre metres metro metros",
    "mil": "mil mils",
    "oz": "oz ounce ounces",
    "lb": "lb lbs pound pounds",
    "mg": "mg milligram milligrams мг",
    "g": "g gm gms gr gram grams grama gramas gramo gramos gramme grammes gramm грамм",
    "kg": "kg kgs kilogram kilograms kilo kilos quilo quilos kilogramm кг",
    "ml": "ml milliliter milliliters millilitre millilitres mililitro mililitros мл",
    "l": "l liter liters litre litres ltr litro litros литр литра литров",
    "gal": "gal gallon gallons",
    "qt": "qt quart quarts",
    "v": "v volt volts vac vdc voltios",
    "a": "a amp amps ampere amperes",
    "ma": "ma milliamp milliamps",
    "mah": "mah",
    "w": "w watt watts vatios вт",
    "kw": "kw kilowatt kilowatts",
    "hp": "hp horsepower",
    "ohm": "ohm ohms",
    "hz": "hz hertz гц",
    "khz": "khz",
    "mhz": "mhz",
    "ghz": "ghz",
    "kb": "kb",
    "mb": "mb megabyte megabytes",
    "gb": "gb gigabyte gigabytes гб",
    "tb": "tb terabyte terabytes",
    "mp": "mp megapixel megapixels",
    "rpm": "rpm",
    "psi": "psi",
    "db": "db decibel decibels",
    "f": "f fahrenheit",
    "c": "c celsius",
    "deg": "degree degrees",
    "%": "percent prozent",
    "pack": "pack packs",
    "pc": "pc pcs piece pieces pecas piezas stuck шт",
    "sec": "sec second seconds",
    "min": "min minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "year": "year years",
}
# Units of languages without spaces, which anything may follow: Japanese, Chinese, Thai.
_UNSPACED_SPELLINGS = {
    "mm": "ミリ 毫米 มม",
    "cm": "センチ 厘米 公分 ซม",
    "m": "メートル 米",
    "in": "インチ 英寸 นิ้ว",
    "g": "グラム 克 กรัม",
    "kg": "千克 公斤 กก",
    "ml": "毫升",
    "l": "リットル 升 ลิตร",
    "w": "ワット",
}


def _by_spelling(units: dict[str, str]) -> dict[str, str]:
    return {spelling: unit for unit, spellings in units.items() for spelling in spellings.split()}


_UNSPACED = _by_spelling(_UNSPACED_SPELLINGS)
_SPACED = _by_spelling(_SPELLINGS)
_UNITS = _SPACED | _UNSPACED
_SYMBOLS = {'"': "in", "”": "in", "″": "in", "''": "in", "'": "ft", "′": "ft", "%": "%", "℃": "c", "℉": "f", "°c": "c"}
_SYMBOLS |= {"°f": "f", "° c": "c", "° f": "f", "°": "deg", "\u03c9": "ohm"}


def _any(spellings: Iterable[str]) -> str:
    """A pattern for any of them, the longest first."""
    return "|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))


_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, Burmese, Khmer, kana, Han
_CHAR = rf"[^\W_{_NO_SPACES}]"  # a letter or digit of a script with spaces
_LETTER = rf"[^\W\d_{_NO_SPACES}]"
_NUMBER = (
    r"(?:\d+[ -]{1,2})?\d{1,2}⁄\d{1,2}"  # ½ · 1½, folded
    r"|(?:\d+[ -])?(?<![\d/])\d{1,2}/(?:2|3|4|5|6|8|16|32|64)(?![\d/])"  # 1/2 · 5 1/2 · 1-1/4
    r"|\d{1,3}(?:[.,'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d{1,3}(?:[ \xa0\u202f](?=0)\d{3})+(?!\d)"  # 1,200.5 · 1.200,5 · 1 000
    r"|\d*\.\d+|\d+(?:,\d{1,2}(?!\d))?"  # .5 · 12 · 2,5
)
_UNIT = (
    rf"\s{{0,2}}(?P<symbol>{_any(_SYMBOLS)})(?!{_LETTER})"
    rf"|\s{{0,2}}-?(?:(?P<unspaced>{_any(_UNSPACED)})|(?P<word>{_LETTER}+)(?!\d))"
)
_QUANTITY = re.compile(rf"(?<![\d.,])(?P<number>{_NUMBER})(?:{_UNIT})?")
_BETWEEN = "[-./]"  # joins the parts of a model code
_TOKEN = re.compile(rf"(?<!{_CHAR})(?:{_CHAR}|(?<={_CHAR}){_BETWEEN}(?={_CHAR}))+")
_MEASURE = rf"\d+(?:[.,x×х]+\d+)*(?:{_any(_SPACED)})?"
# Numbers, and a number with words behind it: 5 · 1,000 · 1/2 · 10cm · 12V-24V · 5x7cm · 10-year-old
_NO_CODE = re.compile(rf"{_MEASURE}(?:[-/]{_MEASURE})*(?:-{_LETTER}+)*")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
_ONE_CHAR = re.compile(_CHAR)
_RUN = re.compile(rf"\d+|{_LETTER}+")


@dataclass(frozen=True, slots=True)
class Mention:
    """A number or a model code in a text, at text[start:end]."""

    start: int
    end: int
    values: tuple[float, ...] = ()  # the readings of a number: "1.000" is a thousand, or one
    unit: str = ""  # of a number; "" where no known unit follows
    code: tuple[str, ...] = ()  # a model code's runs of letters and of digits


def mentions(text: str) -> list[Mention]:
    """All numbers and model codes of `text`, in order. "XJ-900" is one code, and its 900 no number of its own."""
    return list(_mentions(*_folded(text)))


def _mentions(folded: str, at: list[int] | range) -> Iterator[Mention]:
    codes: list[tuple[int, int, tuple[str, ...]]] = []
    for token in _TOKEN.finditer(folded):
        parts = _RUN.findall(token[0])
        if len({part[0].isdigit() for part in parts}) == 2 and not _NO_CODE.fullmatch(token[0]):
            codes.append((token.start(), token.end(), tuple(parts)))
    place = 0
    for start, end, runs in [*codes, (len(folded), len(folded), ())]:
        for one in _QUANTITY.finditer(folded, place, start):
            yield _number(one, at)
        if runs:
            yield Mention(at[start], at[end - 1] + 1, code=runs)
        place = end


def _number(found: re.Match[str], at: list[int] | range) -> Mention:
    word = found["unspaced"] or found["word"] or ""
    if word == "a" and found[0][-2:] == " a":
        word = ""  # of "3 a day"
    if word == "in" and found[0][-3:] == " in" and _YEAR.fullmatch(found["number"]):
        word = ""  # of "founded 1995 in Lyon"
    unit = _SYMBOLS.get(found["symbol"] or "") or _UNITS.get(word, "")
    end = found.end() if unit else found.end("number")
    return Mention(at[found.start()], at[end - 1] + 1, _readings(found["number"]), unit)


def _readings(number: str) -> tuple[float, ...]:
    """The values that a number may have: a dot or comma before three digits separates thousands or decimals."""
    if fraction := re.fullmatch(r"(?:(\d+)[ -]{1,2})?(\d+)[/⁄](\d+)", number):
        ones, above, below = (int(part or 0) for part in fraction.groups())
        return (round(ones + above / max(below, 1), 6),)
    grouped = re.fullmatch(r"(\d{1,3}(?:([.,'’ \xa0\u202f])\d{3})+)([.,]\d+)?", number)
    if not grouped:
        return (float(number.replace(",", ".")),)
    whole = re.sub(r"\D", "", grouped[1])
    if grouped[3]:
        return (float(f"{whole}.{grouped[3][1:]}"),)
    single = len(re.findall(r"\D", number)) == 1 and grouped[2] in ".,"
    return (float(whole), *([float(re.sub(r"\D", ".", number))] if single else []))


def _folded(text: str) -> tuple[str, list[int] | range]:
    """`text` in lower case, Latin letters without accents and wide forms as ASCII; and the place of each character."""
    if text.isascii():
        return text.lower(), range(len(text))
    parts: list[str] = []
    at: list[int] = []
    for place, char in enumerate(text):
        part = _fold(char)
        parts.append(part)
        at += [place] * len(part)
    return "".join(parts), at


class _Folded(dict[str, str]):
    def __missing__(self, char: str) -> str:
        apart = unicodedata.normalize("NFKD", char)
        if "FRACTION" in unicodedata.name(char, ""):
            part = f" {apart} " if apart[-1:].isdigit() else char  # "1½" is "1 1⁄2"
        elif unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<circle>")):
            part = char
        elif apart[0].isascii():
            part = "".join(one for one in apart if one.isascii()).lower()
        else:
            part = char.lower() if len(char.lower()) == 1 else char
        self[char] = part
        return part


_FOLDED = _Folded()
_fold = _FOLDED.__getitem__


class Stated:
    """What some texts state: title, facts and sources, or title, facts and reference."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = "\n".join(_folded(text)[0] for text in texts if text)
        found = [
            *_mentions(self._text, range(len(self._text))),
            *(_number(one, range(len(self._text))) for one in _QUANTITY.finditer(self._text)),  # inside codes too
        ]
        self._quantities = {(value, one.unit) for one in found for value in one.values}
        self._numbers = {value for value, _ in self._quantities}

    def supports(self, one: Mention) -> bool:
        """Whether the number is stated with the same unit, or a bare number with any; or the code as a whole."""
        if one.code:
            return self._has_code(one.code)
        if one.unit:
            return any((value, one.unit) in self._quantities for value in one.values)
        return any(value in self._numbers for value in one.values)

    def _has_code(self, runs: tuple[str, ...]) -> bool:
        if not all(run in self._text for run in runs):
            return False
        # What stands beside a match is looked at apart: with these large sets of characters a pattern takes 3 ms to
        # compile, and each code has its own.
        joined = r"[\s\-./]?".join(map(re.escape, runs))
        return any(
            not _ONE_CHAR.fullmatch(self._text[max(0, found.start(1) - 1) : found.start(1)])
            and not _ONE_CHAR.fullmatch(self._text[found.end(1) : found.end(1) + 1])
            for found in re.finditer(f"(?=({joined}))", self._text)
        )


def unsupported(text: str, stated: Stated) -> list[Mention]:
    """The mentions of `text` that `stated` lacks, in order; one that occurs again is listed again."""
    return [one for one in mentions(text) if not stated.supports(one)]


def distinct(text: str, found: Iterable[Mention]) -> list[str]:
    """Each number or code once, as `text` first writes it."""
    seen: dict[tuple[object, ...], str] = {}
    for one in found:
        seen.setdefault((one.values, one.unit, one.code), " ".join(text[one.start : one.end].split()))
    return list(seen.values())


def excerpt(title: str, description: str, words: int) -> str:
    """What a prompt that shows so many words of its description states of a source."""
    return f"{title}\n{' '.join(description.split()[:words])}"
