"""Where texts have sources: both pages name them, the public one by row number alone, and mark what nothing states."""

import dataclasses
import json

from copywriter import paths, records
from copywriter.evaluation.predictions import Prediction, Source
from copywriter.records import Product
from tests.support.reported_run import SLICE, html, page, predictions, write, write_texts

SECRET = Product("A secret training title", "A secret of 60 watts and 9 kg, long enough.")


def with_sources(side: str) -> list[Prediction]:
    rows = predictions(side)
    if side == "nearest":
        return rows
    return [
        dataclasses.replace(
            one, written="😀 60 watts, 5 inch, 9 kg and XJ-900", sources=(Source(1, 0.83, 5),), facts="brand: Lux"
        )
        for one in rows
    ]


def written() -> None:
    records.write_products(paths.TRAIN, [Product("Other", "Nothing."), SECRET])
    write_texts(with_sources)


def test_the_private_page_shows_titles_and_places_of_ungrounded_numbers() -> None:
    written()
    rows = json.loads(html().split('id="data-rows">')[1].split("</script>")[0])
    assert rows[0]["sources"] == [[SECRET.title, 0.83]]
    assert rows[0]["facts"] == "brand: Lux"
    text = rows[0]["written"][2].encode("utf-16-le")
    places = [text[2 * start : 2 * end].decode("utf-16-le") for start, end in rows[0]["ungrounded"][2]]
    assert places == ["5 inch", "9 kg", "XJ-900"]  # of the source's words the prompt showed five
    assert rows[0]["ungrounded"][0] == []


def test_the_public_page_has_row_numbers_and_no_training_text() -> None:
    written()
    text = page()
    assert text.count("sources: training row 1 (0.83)") == 20
    assert "facts: brand: Lux" in text
    assert "Ungrounded: `5 inch`, `9 kg`, `XJ-900`" in text
    assert "secret" not in text


def test_without_sources_no_training_row_is_read() -> None:
    assert not paths.TRAIN.exists()
    assert "sources: training row" not in page()


def test_copied_shares_stand_beside_the_scores_of_nearest() -> None:
    assert "Copied share and scores" not in page()
    write(paths.SLICES, {"category": "none", "slices": [SLICE, SLICE | {"by": "copied", "range": "over 0% to 25%"}]})
    text = page()
    assert "| over 0% to 25% | 11 | 5.20 | 5.20 | 15.04 | 1.38 |" in text.splitlines()
    assert "<th>over 0% to 25%</th>" in paths.REPORT_PAGE.read_text()
    assert "by similarity, the differences" in text.lower()
