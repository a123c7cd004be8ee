"""Where every file of the pipeline lies, relative to the repository's root; names only, no logic."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
SOURCES = Path("sources.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
CATALOGUES = Path("catalogues")

RAW = Path("data/raw")
CLEAN = Path("data/clean.parquet")
CLEANING_EXAMPLES = Path("data/cleaning_examples.jsonl")
SAMPLE = Path("data/sample.parquet")
TRAIN = Path("data/train.parquet")
VALIDATION = Path("data/validation.parquet")
TEST = Path("data/test.parquet")

NEIGHBOURS = Path("data/neighbours")  # of the rows of each split among the training rows

BASE = Path("models/base")
ADAPTER = Path("models/adapter")
RECEIPT = ADAPTER / "receipt.json"

CLEAN_COUNTS = Path("metrics/clean_counts.json")
SPLIT_COUNTS = Path("metrics/split_counts.json")
LENGTHS = Path("metrics/lengths.json")
LENGTH_HISTOGRAM = Path("metrics/length_histogram.csv")
TRAIN_HISTORY = Path("metrics/train_history.csv")
VALIDATION_HISTORY = Path("metrics/validation_history.csv")
SIMILARITY = Path("data/similarity.csv")  # of each test title to the nearest training title
COMPARISON = Path("metrics/comparison.json")
SLICES = Path("metrics/slices.json")
SCORE_BARS = Path("metrics/score_bars.csv")
REPORT = Path("metrics/report.md")
REPORT_PAGE = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
RELOCKED = Path("metrics/relocked.json")  # written by `make relock`: code that gives the results of earlier code

# Scratch that outlives a run: checkpoints, TensorBoard, timings. DVC sets DVC_ROOT to the user's
# repository, also for queued and --temp experiments, which run in a folder of their own.
RUNS = Path(os.environ.get("COPYWRITER_RUNS") or Path(os.environ.get("DVC_ROOT") or ".") / "runs")
SPEED = RUNS / "speed.json"  # the last training's tokens/s, for the time estimate of the next one

# Downloads, named by their SHA-256, shared by all checkouts of one user; and a folder that is looked at first.
CACHE = Path(os.environ.get("COPYWRITER_CACHE") or Path.home() / ".cache" / "copywriter")
MIRROR = Path(os.environ["COPYWRITER_MIRROR"]) if os.environ.get("COPYWRITER_MIRROR") else None


def predictions(variant: str) -> Path:
    """The texts that `variant` (base, tuned or nearest) has for the test titles."""
    return Path(f"data/predictions_{variant}.jsonl")


def statistics(variant: str) -> Path:
    """What each of these texts adds to the scores."""
    return Path(f"data/statistics_{variant}.parquet")


def scores(variant: str) -> Path:
    """The scores of `variant`; of `catalogue`, those that need no reference."""
    return Path(f"metrics/{variant}.json")
