"""XML product feeds as rows, streamed: RSS and Atom with Google's names, Yandex YML; no entity is ever expanded."""

import codecs
import re
from collections import deque
from collections.abc import Iterator
from html.entities import html5
from typing import BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape

from copywriter.errors import UserError
from copywriter.reading.fields import Fields, Record

# The row's element by the root's: RSS (Google Merchant, Meta, WordPress), RSS 1.0, Atom, Yandex Market, Heureka.
FEEDS = {"rss": "item", "rdf": "item", "feed": "entry", "yml_catalog": "offer", "shop": "shopitem"}
BLOCK_BYTES = 1_000_000
MAX_CHARACTERS = 50_000_000  # of a row
MAX_DEPTH = 200
_GOOGLE = "http://base.google.com/ns/1.0"
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z][\w.:-]{0,40})["']""")
_ROOT = re.compile(r"<(?![?!])\s*([^\s/>]+)")
_SKIPPED = re.compile(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
# Not allowed in XML, yet some feeds carry them from a database; cleaning would drop them.
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])
_MARKUP = {"p", "br", "div", "span", "ul", "ol", "li", "b", "i", "u", "em", "strong", "a", "table", "tr", "td", "th"}
_MARKUP |= {"tbody", "img", "sup", "sub", "hr", *(f"h{level}" for level in range(1, 7))}


def declared_encoding(head: bytes) -> str | None:
    """The encoding that an XML declaration names, if Python has it and the bytes have no byte order mark."""
    match = _ENCODING.match(head.lstrip()[:500])
    try:
        found = codecs.lookup(match[1].decode()) if match else None
        "".encode(found.name if found else "utf-8")
    except LookupError:
        return None
    return found.name if found and not found.name.startswith(("utf-16", "utf-32")) else None


def row_element(text: str, file: str) -> str:
    """The name of the elements that are rows, by the root of the feed; UserError for XML or HTML that is no feed."""
    match = _ROOT.search(_SKIPPED.sub("", text[:200_000]).lstrip())
    root = match[1] if match else ""
    if match is None and "<!ENTITY" in text[:200_000]:
        raise UserError(_declares(file, text.partition("<!ENTITY")[2].split()[0]))
    if root.lower() in ("html", "head", "body", "table") or re.match(r"\s*<!doctype html", text, re.IGNORECASE):
        raise UserError(
            f"{file} is an HTML page, no catalogue (a page that asks to log in, an error, or a table saved as .xls?); "
            "export the products as CSV, XLSX or JSON"
        )
    if root == "Workbook":
        raise UserError(f"{file} is a workbook of Excel 2003 in XML; save it as .xlsx or CSV")
    if root.lower() in ("urlset", "sitemapindex"):
        raise UserError(f"{file} is a sitemap: addresses of pages without their texts; export the products instead")
    row = FEEDS.get(root.rpartition(":")[2].lower())
    if not row:
        raise UserError(
            f"{file} is XML whose root is <{root[:60]}>, which is not read; feeds that are: RSS and Atom (Google "
            "Merchant, Meta), Yandex YML, Heureka; export the products as one of these, CSV, XLSX or JSON"
        )
    return row


def _declares(file: str, name: str) -> str:
    return (
        f"{file} declares the entity {name[:60]!r}, which product feeds do not and which can be an attack; "
        "remove its <!DOCTYPE ...> or export the products anew"
    )


class _Element:
    """An open element inside a row: its text, its children by name, and its content as markup."""

    __slots__ = ("children", "content", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text: list[str] = []
        self.children: dict[str, object] = {}
        self.content: list[str] = []

    def add(self, name: str, value: object) -> None:
        """Adds a child; those of one name make a list."""
        if name not in self.children:
            self.children[name] = value
        elif isinstance(held := self.children[name], list):
            held.append(value)
        else:
            self.children[name] = [held, value]

    def value(self) -> object:
        """Its text; with elements in it an object of them, or their markup where they format a text."""
        text = "".join(self.text)
        if not self.children:
            return text.strip()
        if text.strip() or any(name.rpartition(":")[2].lower() in _MARKUP for name in self.children):
            return "".join(self.content).strip()
        return self.children


class _Parser:
    """Turns events into rows. Entities that the document declares are refused; HTML's names for letters are known."""

    def __init__(self, row: str, file: str) -> None:
        self.row, self.file = row, file
        self.rows = deque[tuple[int, dict[str, object] | None]]()
        self.open: list[_Element] = []
        self.depth = self.size = self.start = 0
        self.google: str | None = None
        self.expat = expat.ParserCreate("utf-8")  # whatever it declares: it is fed with UTF-8
        self.expat.buffer_text = True
        # Without a DTD at hand unknown entities are skipped, no error; the DTD itself is never read.
        self.expat.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
        self.expat.UseForeignDTD(True)
        self.expat.ExternalEntityRefHandler = self._external
        self.expat.EntityDeclHandler = self._entity
        self.expat.SkippedEntityHandler = self._skipped
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._text

    def _entity(self, name: str, *_: object) -> None:
        raise UserError(_declares(self.file, name))

    def _external(self, context: str | None, *_: object) -> int:
        # An empty DTD in place of any other; without one, expat takes unknown entities for errors.
        self.expat.ExternalEntityParserCreate(context).Parse(b"", True)
        return 1

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            self._text(html5.get(f"{name};", f"&{name};"))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UserError(f"{self.file} nests more than {MAX_DEPTH} elements in one another: no product feed does")
        for key, uri in attributes.items():
            if uri == _GOOGLE and key.startswith("xmlns:"):
                self.google = key[6:]
        if self.open:
            if self.google and name.startswith(f"{self.google}:"):
                name = "g" + name[len(self.google) :]
            self.size += len(name) + 50  # an element without text takes memory too
            if self.size <= MAX_CHARACTERS:
                self.open[-1].content.append(f"<{name}>")
            self.open.append(_Element(name))
        elif name.rpartition(":")[2].lower() == self.row:
            self.start, self.size = self.expat.CurrentLineNumber, 0
            self.open.append(_Element(name))

    def _end(self, name: str) -> None:
        self.depth -= 1
        if not self.open:
            return
        element = self.open.pop()
        if self.open and self.size <= MAX_CHARACTERS:
            self.open[-1].add(element.name, element.value())
            self.open[-1].content += [*element.content, f"</{element.name}>"]
        elif not self.open:
            if self.row == "offer":
                _name_offer(element.children)
            self.rows.append((self.start, element.children if self.size <= MAX_CHARACTERS else None))

    def _text(self, text: str) -> None:
        if self.open and self.size <= MAX_CHARACTERS:
            self.size += len(text)
            self.open[-1].text.append(text)
            self.open[-1].content.append(escape(text))


def _name_offer(row: dict[str, object]) -> None:
    """Adds the name to an offer of Yandex's type vendor.model, which has it in parts."""
    if "name" not in row and "vendor" in row and "model" in row:
        parts = (row.get(key) for key in ("typePrefix", "vendor", "model"))
        row["name"] = " ".join(part for part in parts if isinstance(part, str) and part)


def read_feed(stream: BinaryIO, encoding: str, row: str, fields: Fields) -> Iterator[Record]:
    """The rows of a feed, `row` naming their elements; UserError where it is not well-formed, with the line."""
    parser = _Parser(row, fields.file)
    decode = codecs.getincrementaldecoder(encoding)("replace").decode
    more, begun = True, False
    while more:
        block = stream.read(BLOCK_BYTES)
        more = bool(block)
        text = decode(block, not block).translate(_CONTROLS)
        if not begun:
            text = text.lstrip("\ufeff \t\r\n")
            begun = bool(text)
        try:
            parser.expat.Parse(text.encode("utf-8", "replace"), not more)
        except expat.ExpatError as error:
            yield from _records(parser, fields)
            raise UserError(
                f"{fields.file} is not well-formed XML: {expat.ErrorString(error.code)} in line {error.lineno}; "
                "export it anew"
            ) from None
        yield from _records(parser, fields)


def _records(parser: _Parser, fields: Fields) -> Iterator[Record]:
    while parser.rows:
        number, row = parser.rows.popleft()
        if row is None:
            yield Record(number, None, "too long")
        else:
            fields.look((row,))
            yield Record(number, fields.needed_of(row))
