"""The notebooks' way from trn.json.gz to three sets, one pandas frame in one process; benchmarks/data.py runs it.

The rules are for the same faults as those of copywriter/cleaning, as notebooks write them.
"""

import argparse
import html
from pathlib import Path

import ftfy
import numpy as np
import pandas as pd  # type: ignore[import-untyped]

SAMPLE, SEED = 40_000, 42
RULES = (
    (r"(?s)<!--.*?-->|<(script|style).*?</\1>", " "),
    (r"<[^>]+>", " "),
    (r"[\x00-\x08\x0b-\x1f\x7f\u00ad\u200b-\u200f\ufeff]", ""),
    (r"([a-z0-9)][.!?])([A-Z])", r"\1 \2"),
    (r"--(?:This|The|What|From)[^.]{0,80} edition\.", " "),
    (r"(?:Text )?(?:Copyright|©)(?: ©| \(c\))? ?\d{4}[^.]*\.(?: All rights reserved\.)?", " "),
    (r"\(c\) \d{4}[^.]*\.(?: All rights reserved\.)?", " "),
    (r"Make sure this fits by entering your model number\.", " "),
    (r"\s+", " "),
)


def cleaned(texts: "pd.Series[str]", mojibake: bool) -> "pd.Series[str]":
    """The texts after one rule after the other."""
    texts = texts.apply(ftfy.fix_text if mojibake else html.unescape)  # fix_text decodes entities too
    for pattern, replacement in RULES:
        texts = texts.str.replace(pattern, replacement, regex=True)
    return texts.str.normalize("NFC").str.strip()


def main() -> None:
    """Reads, cleans, samples, splits and writes; prints how many rows were clean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path, help="for train.parquet, validation.parquet and test.parquet")
    parser.add_argument("--mojibake", action="store_true", help="repairs mojibake too, with ftfy.fix_text")
    parser.add_argument("--rows-at-once", type=int, help="reads in pieces and keeps two columns: takes less memory")
    given = parser.parse_args()
    if given.rows_at_once:
        pieces = pd.read_json(given.file, lines=True, compression="gzip", chunksize=given.rows_at_once)
        frame = pd.concat([piece[["title", "content"]] for piece in pieces])
    else:
        frame = pd.read_json(given.file, lines=True, compression="gzip")[["title", "content"]]
    frame = frame.dropna()
    frame = frame[(frame["title"] != "") & (frame["content"] != "")]
    frame = frame.drop_duplicates("title")
    frame["title"] = cleaned(frame["title"], given.mojibake)
    frame["description"] = cleaned(frame.pop("content"), given.mojibake)
    frame = frame[(frame["title"] != "") & (frame["description"] != "")]
    print(len(frame))
    frame = frame.sample(min(SAMPLE, len(frame)), random_state=SEED)
    # As scikit-learn's train_test_split does, twice: a permutation's head is held out, and half of that for the test.
    order = np.random.RandomState(SEED).permutation(len(frame))
    held = len(frame) // 5
    parts = {"test": order[: held // 2], "validation": order[held // 2 : held], "train": order[held:]}
    for part, rows in parts.items():
        frame.iloc[rows].to_parquet(given.folder / f"{part}.parquet", index=False)


if __name__ == "__main__":
    main()
