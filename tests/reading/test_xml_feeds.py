"""Product feeds in XML come out as rows, no entity is expanded, and XML that is no feed is named as what it is."""

import tracemalloc
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copywriter.errors import UserError
from copywriter.reading import tables, xml_feeds
from tests.support.shop_files import Pairs, Rows, read, texts

GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
PAIRS: Pairs = [("Mug & jug", "A <b>red</b> mug – 5 €."), ("Café", "Um copo.")]
RSS = f"""<?xml version="1.0" encoding="utf-8"?>
<!-- made by a shop -->
<rss version="2.0" {GOOGLE}><channel><title>Shop</title><description>All we sell</description>
<item><g:id>1</g:id><g:title>Mug &amp; jug</g:title>
<g:description><![CDATA[A <b>red</b> mug – 5 €.]]></g:description>
<g:shipping><g:country>PT</g:country></g:shipping></item>
<item><g:title>Caf&#233;</g:title><g:description>Um copo.</g:description><g:image_link>a</g:image_link></item>
</channel></rss>"""
ATOM = RSS.replace('<rss version="2.0"', '<feed xmlns="http://www.w3.org/2005/Atom"')
ATOM = ATOM.replace("</channel></rss>", "</feed>")
ATOM = ATOM.replace("<channel>", "").replace("item>", "entry>")
YML = """<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE yml_catalog SYSTEM "shops.dtd">
<yml_catalog date="2026-01-01"><shop><name>Магазин</name><categories><category id="1">Чашки</category></categories>
<offers><offer id="1" available="true"><name>Красная кружка</name><param name="Цвет">красный</param>
<param name="Объём">200</param><description>Кружка&nbsp;для чая.</description></offer></offers></shop></yml_catalog>"""


def parsed(content: str, folder: Path, prefix: str = "g:", encoding: str = "utf-8") -> Rows:
    return read(content.encode(encoding), folder, f"{prefix}title", f"{prefix}description")


@pytest.mark.parametrize("block", [1, 5, 1_000_000])
@pytest.mark.parametrize("feed", [RSS, ATOM, RSS.replace("g:", "ns0:").replace(":g=", ":ns0=")])
def test_feeds_of_merchants_are_rows(tmp_path: Path, feed: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_feeds, "BLOCK_BYTES", block)
    rows = parsed(feed, tmp_path)
    assert texts(rows) == PAIRS
    monkeypatch.undo()
    assert str(tables.guess(tmp_path / "shop", {})).startswith("xml, utf-8, rows in ")


def test_a_feed_of_yandex_is_rows(tmp_path: Path) -> None:
    rows = read(YML.encode("cp1251"), tmp_path, "name", "description")
    assert texts(rows) == [("Красная кружка", "Кружка\xa0для чая.")]
    (record,) = (one for chunk in tables.file_chunks(tmp_path / "shop", {}) for one in tables.records(chunk))
    assert record.fields is not None
    assert record.fields["param"] == ["красный", "200"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "shift_jis"])
def test_the_encoding_is_the_declared_one(tmp_path: Path, encoding: str) -> None:
    text = "商品" if encoding == "shift_jis" else "Caneca é"
    item = f"<item><title>{text}</title><description>B</description></item>"
    feed = f"<?xml version='1.0' encoding='{encoding}'?><rss>{item}</rss>"
    assert texts(parsed(feed, tmp_path, "", encoding)) == [(text, "B")]


def test_markup_inside_a_text_is_kept_for_clean(tmp_path: Path) -> None:
    feed = "<feed><entry><title>A</title><content><div><p>One &amp; <b>two</b></p></div></content></entry></feed>"
    assert read(feed.encode(), tmp_path, "title", "content")[0].description == "<div><p>One &amp; <b>two</b></p></div>"


def test_elements_of_one_name_are_a_list_and_inner_ones_have_paths(tmp_path: Path) -> None:
    feed = "<rss><item><one><inner>x</inner></one><c>1</c><c>2</c></item></rss>"
    assert texts(read(feed.encode(), tmp_path, "one.inner", "c")) == [("x", "1 2")]
    assert texts(read(feed.encode(), tmp_path, "one.inner", "c.1")) == [("x", "2")]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))


@pytest.mark.parametrize(
    "declared",
    [
        LAUGHS,
        '<!ENTITY l9 SYSTEM "file:///etc/passwd">',
        '<!ENTITY l9 SYSTEM "http://127.0.0.1:9/x">',
        '<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;',
        '<!ENTITY l9 "' + "ha" * 100_000 + '">',
    ],
)
def test_entities_are_refused_and_nothing_is_opened(
    tmp_path: Path, declared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = f"<!DOCTYPE rss [{declared}]><rss><item><title>&l9;</title><description>B</description></item></rss>"
    (tmp_path / "shop").write_text(feed)
    with pytest.raises(UserError, match=r"declares the entity '(l0|l9|p)'"):
        parsed(feed, tmp_path, "")


def test_an_external_dtd_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "a.dtd").write_text('<!ENTITY secret "leaked">')
    doctype = f'<!DOCTYPE rss SYSTEM "{tmp_path}/a.dtd">'
    feed = f"{doctype}<rss><item><title>&secret; A</title><description>&copy; B</description></item></rss>"
    assert texts(parsed(feed, tmp_path, "")) == [("&secret; A", "© B")]


REFUSED = {
    "<!DOCTYPE html><html><body>Log in</body></html>": "shop is an HTML page",
    "<html><table><tr><td>name</td></tr></table></html>": "a table saved as .xls",
    '<?xml version="1.0"?><BMECAT><ARTICLE/></BMECAT>': "is XML whose root is <BMECAT>, which is not read",
    '<urlset xmlns="x"><url/></urlset>': "is a sitemap",
    '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>': "a workbook of Excel 2003",
    RSS[:-30]: "is not well-formed XML: .* in line 7; export it anew",
    "<rss>" + "<a>" * 300: "nests more than 200 elements",
    "<rss><item><title>A & B</title></item></rss>": "is not well-formed XML",
}


@pytest.mark.parametrize("content", REFUSED)
def test_what_is_no_feed_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=REFUSED[content]) as caught:
        read(content.encode(), tmp_path)
    assert "\n" not in str(caught.value)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_whatever_the_texts_they_come_back(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
    items = "".join(
        f"<item><title>{escape(title)}</title><description>{escape(text)}</description></item>" for title, text in pairs
    )
    rows = parsed(f"<rss>{items}</rss>", tmp_path_factory.mktemp("property"), "")
    assert texts(rows) == [(title.strip(), text.strip()) for title, text in pairs]


def test_memory_is_bounded_whatever_one_row_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_feeds, "MAX_CHARACTERS", 1_000_000)
    item = "<item><title>A</title><description>B</description></item>"
    long = "<item><title>" + "x" * 20_000_000 + "</title></item><item>" + "<a/>" * 500_000 + "</item>"
    (tmp_path / "shop").write_text(f"<rss>{item}{long}{item}</rss>")
    tracemalloc.start()
    found = [
        row.malformed
        for chunk in tables.chunks(tmp_path, {"files": {"shop": {}}, "title": "title", "description": "description"})
        for row in tables.rows(chunk, "title", "description")
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [None, "too long", "too long", None]
    assert peak < 40_000_000
