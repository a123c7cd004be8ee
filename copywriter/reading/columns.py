"""What each column holds, by its texts, and which columns are a product's title and its description."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from typing import NamedTuple

from copywriter.cleaning.escapes import join_list
from copywriter.reading.column_names import description_strength, title_strength

TEXTS = 400  # of a column are looked at closely
CHARACTERS = 2_000  # of each of them
MARGIN = 0.5  # between candidates that differ by less a person has to choose
CONSTANT = 0.5  # a larger share of equal texts makes a column constant
_TAG = re.compile(r"<[a-zA-Z/!][^>]{0,2000}>|\[/?[a-z]+_[a-z_]+[^\]]{0,300}\]|\\[nrt]")
_URL = re.compile(
    r"(?:https?:|ftp:|data:|//|www\.)\S+$|\S+\.(?:jpe?g|png|gif|webp|svg|html?|php|pdf|mp4)(?:\?\S*)?$", re.I
)
_PARTS = re.compile(r"\s*[,;|\n>]\s*")
_SENTENCE = re.compile(r"[\w\"'”»)\]%][.!?…](?=[\"'”»)]*(?:\s+[^\W\d_a-z]|\s*$))|[。！？؟।]")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_CODED = re.compile(r"[\w.:/#+-]*(?:[\d_:/#]|[a-z0-9]-[a-z0-9])[\w.:/#+-]*$")


def kind(text: str) -> str:
    """What a text is: nothing, url, number, code, data, tags, word, phrase or prose."""
    text = unescape(_TAG.sub(" ", join_list(text[:CHARACTERS]))).strip()
    if not text:
        return "nothing"
    parts = [part for part in re.split(r"[\s,;|]+", text) if part]
    if sum(map(bool, map(_URL.match, parts))) > len(parts) / 2:
        return "url"
    if not any(map(str.isalpha, text)) or sum(map(str.isdigit, text)) > 2 * sum(map(str.isalpha, text)):
        return "number"
    if text[0] in "{[" and text[-1] in "}]" and re.match(r"[{\[]+\s*[\"']", text):
        return "data"
    words = text.split()
    if all(map(_CODED.match, parts)):
        return "code"
    unspaced = len(_UNSPACED.findall(text)) / 2
    if _SENTENCE.search(text) and (len(words) >= 3 or unspaced >= 4):
        return "prose"
    lists = [part for part in _PARTS.split(text) if part]
    if len(lists) > 1 and len(words) + unspaced <= 3 * len(lists):
        return "tags"
    if len(words) >= 10 or unspaced >= 15:
        return "prose"
    return "word" if len(words) == 1 and unspaced < 2 else "phrase"


@dataclass
class Column:
    """What the rows hold under one name: characters of each text, how many hold something else, and some texts."""

    lengths: list[int] = field(default_factory=list)
    others: int = 0
    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Adds a text that is not blank."""
        self.lengths.append(len(text))
        if len(self.texts) < TEXTS:
            self.texts.append(text[:CHARACTERS])

    def percentile(self, share: float) -> int:
        """The length that so many of the texts do not exceed; 0 without any."""
        return sorted(self.lengths)[min(int(share * len(self.lengths)), len(self.lengths) - 1)] if self.lengths else 0

    @cached_property
    def kinds(self) -> Mapping[str, float]:
        """The share of each kind among the texts."""
        counted = Counter(map(kind, self.texts))
        return {name: count / len(self.texts) for name, count in counted.items()}

    def share(self, *kinds: str) -> float:
        """The share of the texts that are of these kinds."""
        return sum(self.kinds.get(one, 0) for one in kinds)

    @cached_property
    def most_frequent(self) -> float:
        """The share of the most frequent text."""
        return max(Counter(self.texts).values()) / len(self.texts) if self.texts else 0

    @cached_property
    def distinct(self) -> float:
        """The share of different texts."""
        return len(set(self.texts)) / len(self.texts) if self.texts else 0

    @cached_property
    def boilerplate(self) -> float:
        """The share of the words that four of five texts have, as a shop's advertising lines do."""
        words = [text.casefold().split() for text in self.texts]
        if len(words) < 3:
            return 0
        frequent = Counter(word for one in words for word in set(one))
        shared = sum(frequent[word] >= 0.8 * len(words) for one in words for word in one)
        return shared / max(sum(map(len, words)), 1)

    @property
    def is_text(self) -> bool:
        """Whether most of its values are texts."""
        return len(self.lengths) > self.others

    @property
    def what(self) -> str:
        """What its texts are, in a word or two."""
        if len(self.texts) > 2 and self.most_frequent == 1:
            return "one value"
        names = {"word": "words", "code": "codes", "url": "addresses", "number": "numbers", "phrase": "short texts"}
        main = max(self.kinds, key=lambda one: self.kinds[one], default="nothing")
        return names.get(main, {"prose": "running text", "data": "structured data"}.get(main, main))


class Candidate(NamedTuple):
    """A column that may be the one that is looked for, with how much speaks for it."""

    name: str
    score: float
    column: Column


class Choice(NamedTuple):
    """The column that was chosen, or None; among several candidates, none of which is clearly the right one."""

    name: str | None
    candidates: Sequence[Candidate] = ()


def choose(
    found: Mapping[str, Column], title: str | None = None, description: str | None = None
) -> tuple[Choice, Choice]:
    """The title's and the description's column; what is given is chosen."""
    rows = max((len(column.lengths) + column.others for column in found.values()), default=0)
    texts = {name: column for name, column in found.items() if column.is_text}
    if description:
        described = Choice(description)
    else:
        described = _decide(_descriptions({n: c for n, c in texts.items() if n != title}, rows))
    taken = {description, described.name, *(one.name for one in described.candidates)}
    if title:
        titled = Choice(title)
    else:
        titled = _decide(_titles({n: c for n, c in texts.items() if n not in taken or title_strength(n) >= 3}, rows))
        if titled.name in taken and titled.name is not None:
            described = _decide(one for one in _descriptions(texts, rows) if one.name != titled.name)
    if rows == 1:  # which proves nothing: it may be a server's message
        titled = titled if title else _named(titled, title_strength)
        described = described if description else _named(described, description_strength)
    return titled, described


def _named(choice: Choice, strength: Callable[[str], float]) -> Choice:
    return choice if choice.name and strength(choice.name) > 0 else Choice(None, choice.candidates)


def _descriptions(columns: Mapping[str, Column], rows: int) -> Iterable[Candidate]:
    """Columns with running text; those named as descriptions also with other texts, but never addresses or codes."""
    for name, column in columns.items():
        strength, prose = description_strength(name), column.share("prose")
        if column.share("url", "code", "number", "data", "nothing") > 0.5 or _is_constant(column):
            continue
        if title_strength(name) >= 3 or (prose < 0.3 and strength < 2):
            continue
        if strength < 0 and (title_strength(name) < 0 or column.boilerplate > 0.5):
            continue  # a teaser for search engines, a vendor's text
        lengthy = min(column.percentile(0.5), 400) / 400
        filled = len(column.lengths) / max(rows, 1)
        yield Candidate(name, 4 * prose + strength + lengthy + filled / 2, column)


def _titles(columns: Mapping[str, Column], rows: int) -> Iterable[Candidate]:
    """Columns with short texts that differ from row to row."""
    for name, column in columns.items():
        strength = title_strength(name)
        if column.share("url", "number", "data", "nothing", *(["code"] if strength < 3 else [])) > 0.5:
            continue
        if _is_constant(column) or strength < 0 or (column.percentile(0.5) > 250 and strength < 3):
            continue
        filled = len(column.lengths) / max(rows, 1)
        varied = column.distinct if len(column.texts) > 2 else 1
        if strength < 3 and varied < 0.4:
            continue  # a category or a vendor
        score = strength + 1.5 * varied + column.share("phrase") - 2 * column.share("prose") + filled
        yield Candidate(name, score - description_strength(name), column)


def _is_constant(column: Column) -> bool:
    return len(column.texts) > 2 and column.most_frequent > CONSTANT


def _decide(candidates: Iterable[Candidate]) -> Choice:
    """The best candidate, unless another one is about as good, filled and different."""
    ranked = sorted(candidates, key=lambda one: -one.score)
    if not ranked:
        return Choice(None)
    best = ranked[0]
    rivals = [one for one in ranked[1:] if best.score - one.score < MARGIN and one.column.texts != best.column.texts]
    if rivals:
        return Choice(None, [best, *rivals])
    # A column that is filled far more often may be what the shop uses.
    fuller = [one for one in ranked[1:] if len(one.column.lengths) > 4 * len(best.column.lengths) and one.score > 2]
    return Choice(None, [best, *fuller]) if fuller else Choice(best.name, [best])
