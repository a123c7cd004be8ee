"""Whether a tokenizer is the published one: fixed texts come back unchanged, and their ids are an independent reader's.

fetch_model writes the result into models/base/pin.json, and train_qlora compares the base with it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from copywriter import errors, files
from copywriter.errors import UserError

KEY = "tokenizer"  # in pin.json
PIN = "pin.json"
_FETCH = "run 'dvc repro --force fetch_model'"
_INSTALL = "install the version in requirements.txt and run again, or name another model"

# Scripts, digits, spaces, newlines, emoji and code; in NFC, as cleaned texts are, because some models normalize to it.
TEXTS = (
    "Stainless steel water bottle, 750 ml, keeps drinks cold for 24 hours.",
    "User's 3 Piece  Set, 12.5\" x 40 cm\n\n100% cotton – “best” <b>price</b>: £9.99…",
    "We've packed it, they'll ship it; DON'T bend. IT'S fragile, isn’t it?",
    "0 7 42 2026 12345 1,234,567.89 3.14e-10 007 1/2 ½ x² № 5 18650mAh M8x1.25 99.9%",
    "one two  three   four    five        nine                ends with spaces   ",
    "  a line that is indented\n\ttabbed\n\n\nthree newlines\n\n\n\n\nfive\r\nWindows\r\n\r\n \n \n",
    "\n",
    " ",
    "trailing newline\n",
    "def total(items: list[int]) -> int:\n    if not items:\n        return 0\n    return sum(i ** 2 for i in items)\n",
    '{"sku": "AB-12_x", "price": [1.5, null, true], "url": "https://example.com/p?id=7&lang=pt#top"}',
    '<div class="a"><p>Tea &amp; biscuits</p><br/></div><!-- note --> C:\\temp\\new.txt $HOME/`date` a@b.example',
    "Descrição: açúcar, pão de queijo, coração e maçã — edição nº 3ª, São João del-Rei!",
    "¿Niño pequeño? ¡Sí! Größe XL, weiß; œuvre d’été à Besançon; Zażółć gęślą jaźń; şık İstanbul çantası",
    "Красный чайник объёмом 1,7 л; українська їжа; ελληνικός καφές",
    "日本語の商品説明。カタカナとひらがな、全角ABC123。红色茶杯，容量三百毫升。빨간 찻잔 300ml입니다.",
    "فنجان شاي أحمر ٣٠٠ مل، كوب זכוכית אדום हिंदी में लाल चाय का प्याला ถ้วยชาสีแดง",
    "Caf\u00e9, na\u00efve \ufb01ne print, 5\u00a0kg, zero\u200bwidth, soft\u00adhyphen, 20\u2009°C ± 0.5 \u00b5m",
    "Gift! 😀🎁👍🏽 👩‍👩‍👧‍👦 🇧🇷 ❤️ ♻️ ™ ® © ★★★★☆ ✓ → €49 ¥ ₹",
    "----- ===== ***** ##### ..... !!!??? ((([[[{{{}}}]]])))  ~~~ ^_^ :-) a/b\\c|d",
    "CamelCaseWord snake_case_word kebab-case-word ALLCAPSWORD Aaaaaaaaaaaaaaaaaaaa xyzzyqwrtpsdfg",
    "𝓕𝓪𝓷𝓬𝔂 𝟙𝟚𝟛 🜁 𠜎 \U000e0041 \x7f\x01",
)


def check(
    name: str, folder: Path, reader: Callable[[str], Sequence[int]] | None, compared_with: str | None
) -> dict[str, Any]:
    """The result for pin.json of the tokenizer in `folder`; UserError when it fails on one of TEXTS.

    `reader`: gives the ids of a text by what was published, which `compared_with` describes; None: only that the texts
    come back unchanged is checked.
    """
    tokenizer = _read(folder)
    found = _ids(tokenizer)
    for text, ids in zip(TEXTS, found, strict=True):
        back = tokenizer.decode(ids, skip_special_tokens=False)
        if back != text:
            raise UserError(
                f"the tokenizer of {name}, read by transformers {transformers.__version__}, makes {back!r} of "
                f"{text!r}; {_INSTALL}"
            )
        if reader and (expected := list(reader(text))) != ids:
            raise UserError(
                f"the tokenizer of {name}, read by transformers {transformers.__version__}, is not the published one: "
                f"{text!r} is {_shown(tokenizer, ids)}, but {_shown(tokenizer, expected)} by {compared_with}; "
                f"{_INSTALL}"
            )
    return {
        "sha256": _sha256(folder),
        "texts": len(TEXTS),
        "ids": files.digest(found),
        "compared_with": compared_with if reader else None,
    }


def require(base: Path) -> None:
    """Raises UserError unless the tokenizer in `base` passed the check, is unchanged, and is read here as it was there.

    An older transformers may read the same files as another tokenizer.
    """
    pin = json.loads(errors.existing(base / PIN, "dvc repro fetch_model").read_text(encoding="utf-8"))
    passed = pin.get(KEY)
    if not isinstance(passed, dict) or not {"sha256", "texts", "ids"} <= passed.keys():
        raise UserError(f"{base / PIN} does not say that the tokenizer was checked; {_FETCH}")
    if passed["sha256"] != _sha256(base):
        raise UserError(f"the tokenizer's files in {base} are not those that were checked; {_FETCH}")
    if passed["texts"] != len(TEXTS):
        raise UserError(f"the tokenizer in {base} was checked with other texts than today's; {_FETCH}")
    if passed["ids"] != files.digest(_ids(_read(base))):
        raise UserError(
            f"transformers {transformers.__version__} reads the tokenizer in {base} otherwise than it was checked; "
            "install the versions in requirements.txt"
        )


def _ids(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    found: list[list[int]] = tokenizer(list(TEXTS), add_special_tokens=False)["input_ids"]
    return found


def _read(folder: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer


def _sha256(folder: Path) -> str:
    """A hash over the hashes of the tokenizer's files, chat template included."""
    found = sorted([*folder.glob("*token*"), *folder.glob("chat_template.jinja")])
    return files.digest({file.name: files.sha256(file) for file in found})


def _shown(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The number of tokens and the first few of them."""
    return f"{len(ids)} tokens {tokenizer.convert_ids_to_tokens(list(ids[:8]))}"
