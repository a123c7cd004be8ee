"""The encoding of a text by its bytes: a byte order mark, zero bytes, UTF-8, else the best older encoding."""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BYTES_LOOKED_AT = 100_000
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_OLD = ("mac_roman", "cp850", "cp852")  # Excel's "CSV (Macintosh)" and "CSV (MS-DOS)"
# Where a letter was read as something else: no text has these signs behind a letter, or a capital behind a small one.
_MISREAD = re.compile("(?<=[^\\W\\d_])(?:[‚„†‡ˆ‰‹¤¢£¡¦¿§\ufffd\x80-\x9f]|©(?=[a-z]))|(?<=[a-zß-öø-ÿ])[À-ÖØ-ÞŠŽŒŸ]")
# At least so much of the bytes beyond ASCII come in runs where a script is not Latin.
_RUNS = re.compile(rb"[\x80-\xff]{3,}|(?:[\x80-\xff][@-~]){3,}")
_OTHERS = (
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp866",
    "tis_620",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
)
# Letters beyond a-z of the languages that write with a Latin encoding.
_ALPHABETS = {
    "cp1252": "áàâãçéêíñóôõúüªº àâæçéèêëîïôœùûüÿ äöüß àèéìíîòóùú äåéö æøåéóòâêô áðéíóúýþæö àçéèíïóòúü",
    "cp1250": "ąćęłńóśźż áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž áéíóöőúüű ăâîşţ čćđšž",
    "cp1254": "çğıöşüâîû",
    "cp1257": "ąčęėįšųūž āčēģīķļņšūž äõöüšž",
}


def guess(head: bytes) -> str:
    """The encoding of a text that begins with `head`; Windows-1252 where nothing speaks for another one."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = head[:1_000:2].count(0), head[1:1_000:2].count(0)
    if abs(zeros[0] - zeros[1]) * 4 > len(head[:1_000]):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    broken = text.count("\ufffd") - head.count("\ufffd".encode())
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore")) - broken if broken else 0
    return "utf-8" if broken <= beyond_ascii else _legacy(head)  # a few damaged letters, or none that fits


def _legacy(head: bytes) -> str:
    from charset_normalizer import from_bytes  # slow to import, and few files need it

    lines = b"".join(line for line in head[: 10 * BYTES_LOOKED_AT].splitlines(keepends=True) if not line.isascii())
    sample = lines[:BYTES_LOOKED_AT].rpartition(b"\n")[0] or lines[:BYTES_LOOKED_AT]
    # A byte here and there that its encoding does not have must not rule the encoding out.
    runs = sum(len(run) for run in _RUNS.findall(sample))
    if 2 * runs < sum(byte > 127 for byte in sample):
        return _latin(sample)
    matches = [match.encoding for match in from_bytes(sample, cp_isolation=[*_LATIN, *_OTHERS])]
    if not matches or matches[0] in _LATIN:
        return _latin(sample)
    if matches[0] in ("cp1251", "cp1253", "koi8_r") and "cp1255" in matches:
        letters = sample.decode("cp1251", "ignore")
        if not any("А" <= letter <= "Я" for letter in letters):  # Hebrew has no capitals, Cyrillic shops have some
            return "cp1255"
    return matches[0]


def _latin(sample: bytes) -> str:
    """The Latin encoding with a language whose letters are nearly all of the sample's letters beyond ASCII."""

    def explained(encoding: str) -> float:
        letters = [one for one in sample.decode(encoding, "replace").lower() if one >= "\xa0" and one.isalpha()]
        alphabets = _ALPHABETS.get("cp1250" if encoding == "cp852" else encoding, _ALPHABETS["cp1252"]).split()
        shares = [sum(one in alphabet for one in letters) for alphabet in alphabets]
        symbols = sum(one in "¹²³¿¡¼½¾£¥¢¤¦" for one in sample.decode(encoding, "replace"))
        return max(shares) / max(len(letters) + symbols, 1)

    western = explained("cp1252")
    best = max(_LATIN, key=explained)
    best = best if explained(best) >= 0.95 and western < explained(best) - 0.05 else "cp1252"
    misread = {name: len(_MISREAD.findall(sample.decode(name, "replace"))) for name in (best, *_OLD)}
    if 5 * misread[best] <= sum(byte > 127 for byte in sample):
        return best
    likely = [name for name in _OLD if explained(name) >= 0.95 and 5 * misread[name] < misread[best]]
    return min(likely, key=lambda name: misread[name], default=best)
