"""The tokenizers of BLEU and ROUGE that fit the references' language, chosen once a run and for all sides.

sacreBLEU's default, 13a, splits at spaces and punctuation. In a script without spaces a sentence is then one token, and
BLEU measures next to nothing. rouge-score deletes everything but ASCII letters and digits: it splits "descrição" in
three and sees nothing at all of Cyrillic or Thai. chrF works on every script.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

ROUGE_SHARE = 0.01  # of letters outside a-z, over which rouge-score's tokenizer loses too many words
BLEU_SHARE = 0.1  # of letters of scripts without spaces, over which 13a loses too many words
KANA_SHARE = 0.1  # of Japanese letters: in running text about half are kana, in Chinese none

_KANA = ("HIRAGANA", "KATAKANA")
_HAN = ("CJK UNIFIED", "CJK COMPATIBILITY")
_OTHER_UNSPACED = ("THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """Names of the tokenizers, and the reasons for others than the libraries' defaults."""

    bleu: Literal["13a", "zh", "ja-mecab", "char"] = "13a"  # sacreBLEU's names
    rouge: Literal["ascii", "unicode"] = "ascii"  # rouge-score's own, or words as in text.words
    bleu_reason: str = ""
    rouge_reason: str = ""


def choose(references: Iterable[str]) -> Tokenizers:
    """The tokenizers for texts such as `references`, by the scripts of their letters."""
    counts: Counter[str] = Counter()
    for one in references:
        counts.update(one)
    letters = {char: count for char, count in counts.items() if unicodedata.category(char)[0] == "L"}
    total = max(sum(letters.values()), 1)

    def share(*names: str) -> float:
        return sum(n for char, n in letters.items() if unicodedata.name(char, "").startswith(names)) / total

    outside = sum(count for char, count in letters.items() if not char.isascii()) / total
    kana, han, other = share(*_KANA), share(*_HAN), share(*_OTHER_UNSPACED)
    bleu, bleu_reason = _for_bleu(kana, han, other)
    if outside <= ROUGE_SHARE:
        return Tokenizers(bleu, "ascii", bleu_reason)
    return Tokenizers(bleu, "unicode", bleu_reason, f"letters outside a-z {outside:.1%}")


def _for_bleu(kana: float, han: float, other: float) -> tuple[Literal["13a", "zh", "ja-mecab", "char"], str]:
    if kana + han + other <= BLEU_SHARE:
        return "13a", ""
    if other > kana + han:
        return "char", f"letters of Thai, Lao, Khmer or Burmese {other:.1%}"
    if kana > KANA_SHARE * (kana + han):
        return "ja-mecab", f"letters of Japanese {kana + han:.1%}"
    return "zh", f"letters of Chinese {han:.1%}"
