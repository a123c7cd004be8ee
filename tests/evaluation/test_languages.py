"""Scores in other languages: tokenizers fit the references' scripts, and every score measures something."""

from collections.abc import Sequence

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from copywriter.evaluation import measure, scores, significance, tokenizers
from copywriter.evaluation.metrics.rouge import unicode_words
from copywriter.evaluation.predictions import Prediction
from copywriter.evaluation.tokenizers import Tokenizers
from copywriter.evaluation.verdict import verdict

NOTHING = np.zeros(0, np.uint64)
# Reference, and a text of which about the half is the same.
LANGUAGES = {
    "English": ("A steel bucket for ten litres of water, with a handle.", "A steel bucket for sand, with a lid."),
    "Portuguese": ("Balde de aço para dez litros de água, com alça.", "Balde de aço para areia, com tampão."),
    "Russian": ("Стальное ведро на десять литров воды, с ручкой.", "Стальное ведро на десять книг, без крышки."),
    "Greek": ("Ένας κουβάς από ατσάλι, για δέκα λίτρα νερό.", "Ένας κουβάς από ξύλο, για δέκα μήλα."),
    "Arabic": ("دلو من الفولاذ يتسع لعشرة لترات من الماء", "دلو من الفولاذ يتسع للرمل فقط"),
    "Hindi": ("दस लीटर पानी के लिए स्टील की बाल्टी", "दस लीटर दूध के लिए काँच की बोतल"),
    "Thai": ("ถังเหล็ก สำหรับน้ำ สิบลิตร มีหูจับ", "ถังเหล็ก สำหรับน้ำ สิบลิตร ไม่มีฝา"),
    "Chinese": ("不锈钢水桶，容量十升，带把手。", "不锈钢水桶，容量十升，带盖子。"),
    "Japanese": (
        "鋼のバケツです、水が十リットル入ります、取っ手つき。",
        "鋼のバケツです、水が十リットル入ります、ふたつき。",
    ),
    "Korean": ("물 열 리터를 담는 강철 양동이, 손잡이 포함", "물 열 병을 담는 나무 상자, 손잡이 포함"),
}
EXPECTED = dict.fromkeys(LANGUAGES, ("13a", "unicode")) | {
    "English": ("13a", "ascii"),
    "Thai": ("char", "unicode"),
    "Chinese": ("zh", "unicode"),
    "Japanese": ("ja-mecab", "unicode"),
}


def rows(pairs: Sequence[tuple[str, str]]) -> list[Prediction]:
    return [Prediction("t", "q", reference, written, True, 7, 12.5, 5) for written, reference in pairs]


def score(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    return scores.rounded(measure.measure(rows(pairs), NOTHING)[0].sum(0))


@pytest.mark.parametrize("language", LANGUAGES)
def test_tokenizers_fit_the_script_of_the_references(language: str) -> None:
    found = tokenizers.choose([LANGUAGES[language][0]])
    assert (found.bleu, found.rouge) == EXPECTED[language]
    assert bool(found.bleu_reason) == (found.bleu != "13a")
    assert bool(found.rouge_reason) == (found.rouge != "ascii")


@pytest.mark.parametrize(("foreign", "rouge"), [(1, "ascii"), (2, "unicode")])
def test_one_percent_of_other_letters_needs_unicode_words(foreign: int, rouge: str) -> None:
    letters = "é" * foreign + "a" * (100 - foreign)
    assert tokenizers.choose([letters, "12 !?"]).rouge == rouge


@pytest.mark.parametrize(
    ("references", "bleu"), [(["a" * 95 + "桶" * 5], "13a"), ([], "13a"), (["a" * 85 + "桶" * 15], "zh")]
)
def test_some_words_of_chinese_keep_the_default(references: list[str], bleu: str) -> None:
    assert tokenizers.choose(references).bleu == bleu


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_overlap_score_measures_every_language(language: str) -> None:
    reference, similar = LANGUAGES[language]
    other = LANGUAGES["Korean" if language != "Korean" else "Greek"][0]
    perfect, half, none = (score([(written, reference)] * 3) for written in (reference, similar, other))
    for name in scores.OVERLAP:
        assert perfect[name] == pytest.approx(100)
        assert none[name] < half[name] < 100, name
        assert half[name] > 5, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_bleu_equals_sacrebleu_with_the_tokenizer(language: str) -> None:
    reference, similar = LANGUAGES[language]
    expected = BLEU(tokenize=EXPECTED[language][0]).corpus_score([similar, reference], [[reference, similar]])
    assert score([(similar, reference), (reference, similar)])["bleu"] == round(expected.score, 4)


def test_signatures_name_tokenizers_and_reasons() -> None:
    def signatures(language: str) -> list[str]:
        reference, similar = LANGUAGES[language]
        first = measure.measure(rows([(similar, reference)]), NOTHING)[1]
        assert measure.measure(rows([("text", reference)]), NOTHING)[1] == first  # written texts decide nothing
        return first

    bleu, rouge, _ = signatures("Japanese")
    assert "tok:ja-mecab" in bleu and "why:letters of Japanese" in bleu
    assert rouge.startswith("ROUGE|tok:unicode|stemmer:no|") and "why:letters outside a-z 100.0%" in rouge
    assert signatures("English")[1] == "ROUGE|stemmer:yes|measure:f1|aggregate:mean|version:0.1.2"
    assert "why" not in "".join(signatures("English"))


def test_accents_do_not_split_words() -> None:
    assert unicode_words("Descrição: Água_2") == ["descrição", "água", "2"]
    assert unicode_words("Descric\u0327a\u0303o") == ["descrição"]  # composed and decomposed forms are equal
    assert unicode_words("स्टील की") == ["स्टील", "की"]


def test_the_verdict_is_no_tie_in_another_script() -> None:
    pair = LANGUAGES["Russian"]
    references, texts = ([one.replace("десять", str(n)) for n in range(40)] for one in pair)
    base, tuned = (
        measure.measure(rows(list(zip(written, references, strict=True))), NOTHING)[0]
        for written in (["Title: bucket"] * 40, texts)
    )
    found = verdict(significance.compare(base, tuned, 1, 200), "base", "tuned", 40)
    assert "better by BLEU, ROUGE-1, ROUGE-2, ROUGE-L and chrF" in found


def test_a_missing_japanese_dictionary_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu.tokenizers.tokenizer_ja_mecab as module

    from copywriter.errors import UserError
    from copywriter.evaluation.metric import Context
    from copywriter.evaluation.metrics import bleu

    monkeypatch.setattr(module, "MeCab", None)
    with pytest.raises(UserError, match="need mecab-python3 and ipadic; run 'pip install"):
        bleu.signature(Context(Tokenizers(bleu="ja-mecab")))
