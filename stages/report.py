"""Writes the report of a run as a page to read and a page to search, and the model card.

Reads   sources.yaml, data/cleaning_examples.jsonl, data/{predictions,statistics}_{base,tuned,nearest}.*,
        data/similarity.csv, metrics/{clean_counts,split_counts,lengths,base,tuned,nearest,catalogue}.json,
        metrics/{comparison,slices}.json, metrics/length_histogram.csv, metrics/{train,validation}_history.csv,
        models/adapter (its receipt)
Writes  metrics/report.md (twenty titles), metrics/report.html (all of them, one file that needs no network),
        metrics/model_card.md
Params  all
"""

from copywriter import files, params, paths, stage
from copywriter.report import html_report, markdown_report, model_card, results
from copywriter.report.rendering import render


def run(given: params.Params) -> str:
    """Reads, checks and writes; returns the log's summary."""
    found = results.read(given)
    html = html_report.values(found)
    for path, content in (
        (paths.REPORT, render("report.md.j2", **markdown_report.values(found))),
        (paths.REPORT_PAGE, render("report.html.j2", **html)),
        (paths.MODEL_CARD, render("model_card.md.j2", **model_card.values(found))),
    ):
        with files.new_file(path) as new:
            new.write_text(content, encoding="utf-8", newline="\n")
    rows = len(found.sides["base"])
    shown = (
        f"{rows:,} test titles in {paths.REPORT_PAGE}, {min(markdown_report.TITLES, rows)} of them in {paths.REPORT}"
    )
    return f"{shown}; {paths.MODEL_CARD}"


def main() -> None:
    """Runs the stage."""
    stage.run("report", lambda: run(params.load()))


if __name__ == "__main__":
    main()
