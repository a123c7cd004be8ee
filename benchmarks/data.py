"""Times the data stages beside the notebooks' way, from trn.json.gz to three sets: `python -m benchmarks.data`.

Ours are the stages from fetch to split as DVC runs them, each a process, in a folder of their own. The other
side is benchmarks/notebook.py. Both start from one file of benchmarks/make_catalogue.py and end with three Parquet
files; they run in turns, size by size. Prints tables for docs/.

With --retrieve ours alone, from fetch to retrieve: the sample has all rows that cleaning keeps, and the catalogue has a
long tail of rare words (benchmarks/tail.py). Prints the growth of time and memory too.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import yaml

from benchmarks import growth, make_catalogue
from benchmarks.markdown import table
from copywriter import files, paths, records, text
from copywriter.records import Product
from tests.support import measure

ROOT = Path(__file__).parents[1]
SIZES = (100_000, 500_000, make_catalogue.OFFICIAL)
STAGES = ("fetch", "clean", "sample", "split")
RETRIEVE = (*STAGES, "retrieve")
PARTS = (paths.TRAIN, paths.VALIDATION, paths.TEST)
ROWS_AT_ONCE = 100_000  # of the notebooks' second try


@dataclass(frozen=True, slots=True)
class Side:
    """Time, memory and results of one side for one file."""

    steps: Mapping[str, measure.Run]
    kept: int  # rows after cleaning
    rows: Sequence[int]  # of train, validation and test
    leaked: int  # rows of test whose title or description is in train too
    remark: str = ""

    @property
    def seconds(self) -> float:
        """Wall time of all steps, one after the other."""
        return sum(step.seconds for step in self.steps.values())

    @property
    def gib(self) -> float:
        """The peak of the step that took most memory."""
        return max(step.peak_bytes for step in self.steps.values()) / 2**30


def project(file: Path, folder: Path, sample: int | None = None) -> None:
    """A project in `folder` with the file as its data set; `sample`: the rows of its sample, else as in params.yaml."""
    params = yaml.safe_load((ROOT / paths.PARAMS).read_text(encoding="utf-8")) | {"dataset": "measured"}
    if sample:
        params["sample"]["size"] = sample
    fields = {"title": "title", "description": "content", "licence": "the project's own"}
    place = paths.CATALOGUES / file.name
    (folder / place).parent.mkdir()
    (folder / place).symlink_to(file)
    entry = {"kind": "file", "path": str(place), "sha256": files.sha256(file), **fields}
    sources = {"datasets": {"measured": entry}, "models": {}}
    for name, content in ((paths.PARAMS, params), (paths.SOURCES, sources)):
        (folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")


def run_stages(stages: Iterable[str], folder: Path) -> dict[str, measure.Run]:
    """Runs stages of the project in `folder`, each a process; SystemExit when one runs out of memory."""
    variables = {
        "PYTHONPATH": str(ROOT),
        "COPYWRITER_RUNS": str(folder / "runs"),
        "COPYWRITER_CACHE": str(folder / "cache"),
    }
    steps = {}
    for stage in stages:
        steps[stage] = step = measure.run(["-m", f"stages.{stage}"], folder, variables)
        if step.failed:
            raise SystemExit(f"{stage}: {step.failed} after {step.seconds:.0f} s")
    return steps


def ours(file: Path, folder: Path) -> Side:
    """The pipeline's data stages, in a project of their own with the file as its data set."""
    project(file, folder)
    steps = run_stages(STAGES, folder)
    return summary(steps, json.loads((folder / paths.CLEAN_COUNTS).read_text())["kept"], [folder / p for p in PARTS])


def notebooks(file: Path, folder: Path, mojibake: bool) -> Side:
    """The notebooks' way; if memory runs out, once more with the file read in pieces."""
    variables, command = {"PYTHONPATH": str(ROOT)}, ["-m", "benchmarks.notebook", str(file), str(folder)]
    command += ["--mojibake"] if mojibake else []
    run, remark = measure.run(command, folder, variables), ""
    if run.failed:
        remark = (
            f"{run.failed} after {run.seconds:.0f} s; the figures are of a second try in pieces of {ROWS_AT_ONCE:,}"
        )
        run = measure.run([*command, "--rows-at-once", str(ROWS_AT_ONCE)], folder, variables)
    if run.failed:
        return Side({"all": run}, 0, (0, 0, 0), 0, f"{remark}, which ended as well: {run.failed}")
    return summary({"all": run}, int(run.printed.split()[-1]), [folder / part.name for part in PARTS], remark)


def summary(steps: Mapping[str, measure.Run], kept: int, sets: Iterable[Path], remark: str = "") -> Side:
    """A side whose files of train, validation and test are counted and searched for leaks."""
    train, validation, test = map(records.read_products, sets)
    return Side(steps, kept, (len(train), len(validation), len(test)), leaked(train, test), remark)


def leaked(train: Iterable[Product], test: Iterable[Product]) -> int:
    """Rows of `test` whose title or description has the very words of one in `train`."""
    train = list(train)
    titles = {tuple(text.words(row.title)) for row in train}
    descriptions = {tuple(text.words(row.description)) for row in train}
    return sum(
        tuple(text.words(row.title)) in titles or tuple(text.words(row.description)) in descriptions for row in test
    )


def report(sides: Mapping[int, tuple[Side, Side]]) -> str:
    """The tables of all sizes: both sides, growth, our stages, and what became of the rows."""
    speed, stages, rows, remarks = [], [], [], ""
    for size, (our, their) in sides.items():
        speed.append(
            [f"{size:,}"]
            + [f"{side.seconds:.1f} s, {side.gib:.2f} GiB, {size / side.seconds:,.0f}" for side in (our, their)]
            + [f"{their.seconds / our.seconds:.1f}", f"{their.gib / our.gib:.1f}"]
            + [f"{our.seconds / size * 1e6:.0f}", f"{their.seconds / size * 1e6:.0f}"]
        )
        stages.append(
            [f"{size:,}", *(f"{s.seconds:.1f} s, {s.peak_bytes / 2**30:.2f} GiB" for s in our.steps.values())]
        )
        for name, side in (("ours", our), ("notebooks'", their)):
            rows.append([f"{size:,}", name, f"{side.kept:,}", *(f"{n:,}" for n in side.rows), f"{side.leaked:,}"])
        remarks += f"\nThe notebooks' way at {size:,} rows: {their.remark}.\n" if their.remark else ""
    both = ["rows", "ours: time, peak, rows/s", "notebooks': time, peak, rows/s", "times faster", "times less memory"]
    return "\n".join(
        (
            table([*both, "ours: s per million rows", "notebooks': s per million rows"], speed) + remarks,
            table(["rows", *STAGES], stages),
            table(["rows", "side", "clean", "train", "validation", "test", "test rows also in train"], rows),
        )
    )


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--folder", type=Path, help="keeps the generated files; else they are written anew each time")
    parser.add_argument(
        "--mojibake", action="store_true", help="the notebooks' way repairs it too, as ours always does"
    )
    parser.add_argument(
        "--retrieve", action="store_true", help="ours alone, from fetch to retrieve, with all rows in the sample"
    )
    given = parser.parse_args()
    if given.retrieve and given.mojibake:
        parser.error("--mojibake is for the notebooks' way, which --retrieve leaves out")
    cores = len(os.sched_getaffinity(0))
    sides, chains = {}, {}
    for size in given.rows:
        with tempfile.TemporaryDirectory() as aside:
            work = Path(aside)
            name = f"catalogue-{size}-{given.seed}{'-tail' if given.retrieve else ''}.json.gz"
            file = (given.folder or work).absolute() / name
            if not file.exists():
                print(make_catalogue.write(file, size, given.seed, cores, given.retrieve), file=sys.stderr, flush=True)
            if given.retrieve:
                project(file, work, sample=size)
                chains[size] = growth.chain(run_stages(RETRIEVE, work), work)
                print(f"{size:,} rows: {chains[size].seconds[growth.WHOLE]:.1f} s", file=sys.stderr, flush=True)
                continue
            for name in ("ours", "notebooks"):
                (work / name).mkdir()
            sides[size] = ours(file, work / "ours"), notebooks(file, work / "notebooks", given.mojibake)
        print(f"{size:,} rows: {sides[size][0].seconds:.1f} s and {sides[size][1].seconds:.1f} s", file=sys.stderr)
    tables = growth.report(chains) if given.retrieve else report(sides)
    print(f"{cores} cores, Python {platform.python_version()}, pandas {metadata.version('pandas')}\n\n{tables}")


if __name__ == "__main__":
    main()
