"""The embedded practice catalogue, generated: products written from word banks, then dirtied as real ones are.

A product is a handful of facts. Its title and its description are both written from them, so that a title settles much
of what is said, and not all. Dirt follows, in the shares measured on AmazonTitles-1.3MM. The banks, how to read them,
and all shares are in practice.yaml. The bytes are the same on every Python from 3.11 on: the only source of chance is
random(), whose values the standard library promises to keep, and no hash and no order of a set decides anything.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from copywriter.fetching.phrases import JOINT, banks, draw, fill, pick, rejoined, replaced, sentence, spread

STOCK = 2_000  # the earlier products that may come again
REPEATED = (("uid", "title", "content", "target_ind", "target_rel"), ("title", "content"), ("title",))  # what stays
LABELS = 1_305_265  # of the official data set


@dataclass(frozen=True)
class Article:
    """A product before a word is written about it."""

    category: str
    facts: Mapping[str, str]
    wording: int  # the seed of every choice of words
    length: int  # of its description, in characters, about

    @cached_property
    def title(self) -> str:
        """The title, as its shop would write it with care."""
        rng = Random(self.wording + 1)
        return sentence(pick(banks()["categories"][self.category]["titles"], rng), self.facts, rng)


def article(category: str, wording: int, length: int) -> Article:
    """The product of a category, by its number `wording`."""
    bank, rng = banks()["categories"][category], Random(wording)
    facts = {"noun": pick(list(bank["items"]), rng)}
    for name, values in (bank["facts"] | bank["items"][facts["noun"]]).items():
        if name != "says":
            facts[name] = fill(pick(values, rng), facts, rng)
    return Article(category, facts, wording, length)


def sister(item: Article, rng: Random) -> Article:
    """The product in another colour, size or edition, where its title shows one; else the product itself."""
    bank = banks()["categories"][item.category]
    for name in bank["vary"]:
        values = bank["items"][item.facts["noun"]].get(name, bank["facts"][name])
        other = replace(item, facts={**item.facts, name: fill(pick(values, rng), item.facts, rng)})
        if other.title != item.title:
            return other
    return item


def description(item: Article) -> str:
    """Sentences about the product, none of them twice, until its length is reached."""
    bank, rng, facts = banks()["categories"][item.category], Random(item.wording + 2), dict(item.facts)
    if item.length < 70:
        return sentence(pick(bank["brief"], rng), facts, rng)
    follows = [bank["says"][value] for value in facts.values() if value in bank["says"]]
    known = bank["told"] + bank["items"][facts["noun"]]["says"] + follows
    hidden = bank["rest"] + [pick(banks()["shared"][group], rng) for group in bank.get("also", [])]
    said = [sentence(pick(bank["leads"], rng), facts, rng)]
    size, count = len(said[0]), 0
    while size < item.length:
        if known or hidden:
            source = known if known and (not hidden or rng.random() < 0.65) else hidden
            template = source.pop(draw(len(source), rng))
        else:
            template, count = pick(bank.get("more", banks()["notes"]), rng), count + 1
            facts["#"] = str(count)
        if (more := sentence(template, facts, rng)) not in said:
            said.append(more)
            size += 1 + len(more)
    return " ".join(said)


def dirty(text: str, kinds: Mapping[str, float], item: Article, rng: Random) -> str:
    """The text with every kind of dirt that strikes it, each as likely as `kinds` says."""
    dirt, struck = banks()["dirt"], [kind for kind, share in kinds.items() if rng.random() < share]
    if "foreign" in struck:
        text = fill(pick(dirt["foreign"], rng), item.facts, rng)
    for notice in banks()["categories"][item.category].get("notices", []):
        text += " " + fill(pick(dirt[notice], rng), {}, rng) if notice in struck else ""
    if "stuffed" in struck:
        room = 150 + draw(1 + draw(1_850, rng), rng)  # up to 2,000, most of them far below
        while len(text) + len(more := ", " + fill(pick(dirt["stuffing"], rng), {}, rng)) < room:
            text += more
    if "entities" in struck or "nested" in struck:
        coded = replaced(text, pick(dirt["entities"], rng))
        text = coded if coded != text else text.replace(" ", "&nbsp;", 1)
        text = text.replace("&", "&amp;") if "nested" in struck else text
    text = rejoined(text, "", 0.2, rng) if "glued" in struck else text
    if "spaces" in struck:
        gap = pick(dirt["spaces"], rng)
        text = rejoined(text, gap, 0.7, rng) if JOINT.search(text) else text.replace(" ", gap, 1)
    if "tags" in struck:
        before, between, after = pick(dirt["tags"], rng)
        text = before + rejoined(text, between, 1.0, rng) + after
    if "stray" in struck:
        place = draw(len(text) + 1, rng)
        text = text[:place] + pick(dirt["stray"], rng) + text[place:]
    text = replaced(text, dirt["mojibake"]) if "mojibake" in struck else text
    text = text.upper() if "shouted" in struck else text
    text = f" {text}  " if "padded" in struck else text
    return pick(dirt["blank"], rng) if "blank" in struck else text


def damaged(line: str, rng: Random) -> str:
    """What an export that failed leaves of a line: its beginning, an object short of a key, or something else."""
    kind = draw(3, rng)
    if kind == 0:
        return line[: 1 + draw(len(line) - 1, rng)]
    return line.replace('"title"', '"name"', 1) if kind == 1 else pick(banks()["dirt"]["malformed"], rng)


def row(item: Article, number: int, parts: Sequence[str], rng: Random) -> dict[str, Any]:
    """The product as an object of the official schema, dirtied; of its two texts only those in `parts` are there."""
    count = 1 + draw(43, rng)
    gap = LABELS // count - 1
    return {
        "uid": f"P{(number * 48_271_905_703 + 11_111_111_111) % 16**9:09X}",  # odd, so another for each number
        "title": dirty(item.title, banks()["title_dirt"], item, rng) if "title" in parts else "",
        "content": dirty(description(item), banks()["content_dirt"], item, rng) if "content" in parts else "",
        "target_ind": list(accumulate([1 + int(rng.random() * gap) for _ in range(count)])),
        "target_rel": [1.0] * count,
    }


def rows(lines: int, seed: int) -> Iterator[str]:
    """The lines of the catalogue, without their line ends."""
    bank, rng = banks(), Random(seed)
    rates, every, lengths = bank["rates"], bank["enormous"]["every"], bank["enormous"]["lengths"]
    shelf = [name for name, category in bank["categories"].items() for _ in range(category["share"])]
    books = [name for name in shelf if "edition" in bank["categories"][name].get("notices", [])]
    seen: set[str] = set()  # so that a title comes again only as often as the rates say
    stock: list[tuple[Article, dict[str, Any]]] = []
    for number in range(lines):
        has, again, length = rng.random(), rng.random(), spread(bank["lengths"], rng)
        if number % every == every // 2:
            has, again, length = 0.0, 1.0, lengths[number // every % len(lengths)]  # with both texts, and only once
        parts = next(parts for below, parts in rates["parts"] if has < below)
        source = books if number < rates["head"] * lines and rng.random() < rates["head_books"] else shelf
        item = article(pick(source, rng), draw(2**32, rng), length)
        older, earlier = pick(stock, rng) if stock and len(parts) == 2 else (item, {})
        same = pick(REPEATED, rng) if earlier and again < rates["repeated"] else ()
        if same:
            item = replace(older, wording=item.wording, length=length)
        elif earlier and again < rates["repeated"] + rates["sister"]:
            item = sister(older, rng)
        while not same and item.title in seen:
            item = article(pick(source, rng), draw(2**32, rng), length)
        seen.add(item.title)
        product = row(item, number, parts, rng) | {key: earlier[key] for key in same}
        if len(parts) == 2 and again < 1.0:
            place = draw(STOCK, rng)
            stock[place : place + 1] = [(item, product)]  # grows while it is shorter than that
        line = json.dumps(product, ensure_ascii=False)
        yield damaged(line, rng) if rng.random() < rates["malformed"] else line


def write(path: Path, lines: int, seed: int) -> None:
    """Writes the catalogue as JSON lines, as the official trn.json is."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(line + "\n" for line in rows(lines, seed))
