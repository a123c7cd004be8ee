"""Training speed of this project beside its peers', on the same rows and device: `python -m benchmarks.train`.

By default a shape with random weights and drawn rows; with --base trained weights and the rows of data/train.parquet.
Writes table.md, results.json, each side's log and the kernels that fill its steps to --out.
"""

import argparse
import datetime
import json
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import markdown
from benchmarks.sides import BATCH, LORA, MAX_LENGTH, ROOT, SIDES, Job, Side, run_job
from tests.support.shapes import SHAPES

COLUMNS = (
    *("shape", "side", "real tokens/s", "ms/step", "padding", "set-up s", "peak GiB: allocated, reserved"),
    *("of the floor", "x notebook", "x trl-packing-4bit", "ms a step: data + forward + backward + optimizer + between"),
)
_PEERS = ("notebook", "trl-packing-4bit")

Record = dict[str, Any]


def table(run: Record) -> str:
    """The table of a run under a caption with all settings."""
    lines = ([result["shape"], _label(result), *_cells(result, run)] for result in run["results"])
    return caption(run) + "\n\n" + markdown.table(COLUMNS, lines)


def caption(run: Record) -> str:
    """Where, when and with what a run was made: device, versions, rows, and each side's settings."""
    facts = next(iter(run["shapes"].values()))
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    floors = "; ".join(
        f"{shape}: {one['parameters'] / 1e9:.3f} B parameters at {one['flops'] / 1e12:,.2f} TFLOP/s, "
        f"{floor(one):,.0f} tokens/s"
        for shape, one in run["shapes"].items()
    )
    lora = ", ".join(f"{name} {value}" for name, value in LORA.items())
    notes = [f"- {one['side']}: {SIDES[one['side']].note}{_found(one, facts)}" for one in run["results"]]
    return "\n".join(
        [
            f"{run['date']}, {facts['device']}; {versions}. Made by `{run['command']}`.",
            "",
            f"{facts['data']}, the same for every side. LoRA on all linear layers ({lora}); "
            f"batch {BATCH} x {facts['length']} unless the side says otherwise. Real tokens leave padding out. "
            f"Set-up: from the start of the process to the end of {run['warmup']} warm-up steps (imports, loading, "
            "packing, compilation). Peak memory: of the whole process, loading included. Floor: 4 FLOP x parameters a "
            f"token at the speed of a large matmul, measured in this run ({floors}).",
            "",
            *dict.fromkeys(notes),
        ]
    )


def _found(result: Record, facts: Record) -> str:
    """What a side's process found: the kernel of its attention, and versions that the preparation did not have."""
    versions = {name: one for name, one in result.get("versions", {}).items() if facts["versions"].get(name) != one}
    found = [f"attention: {result['attention']}"] if "attention" in result else []
    found += [f"{name} {version}" for name, version in versions.items()]
    return f" ({', '.join(found)})" if found else ""


def floor(facts: Record) -> float:
    """Tokens a second if a step consisted of matrix products alone: forward, and backward through frozen weights."""
    return float(facts["flops"] / (4 * facts["parameters"]))


def write(run: Record, folder: Path) -> str:
    """Writes table.md and results.json to `folder`; the table."""
    text = table(run)
    (folder / "table.md").write_text(text, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(run, indent=1) + "\n")
    return text


def _label(result: Record) -> str:
    micro = result.get("micro", BATCH)
    label = result["side"] + (f" (batch {micro})" if micro != BATCH else "")
    return f"{label}{' (stopped after the timed steps)' if 'rate' in result and 'failed' in result else ''}"


def _cells(result: Record, run: Record) -> list[str]:
    if "rate" not in result:
        failure = result["failed"].replace("|", "/")
        return [f"failed: {failure}", *["-"] * (len(COLUMNS) - 3)]
    rates = {one["side"]: one["rate"] for one in run["results"] if one["shape"] == result["shape"] and one.get("rate")}
    memory = "-"
    if result["allocated_gib"] is not None:
        memory = f"{result['allocated_gib']:.1f}, {result['reserved_gib']:.1f}"
    return [
        f"{result['rate']:,.0f}",
        f"{result['step_ms']:.1f}",
        f"{result['padding']:.1%}",
        f"{result['setup_s']:.0f}",
        memory,
        f"{result['rate'] / floor(run['shapes'][result['shape']]):.1%}",
        *(f"{result['rate'] / rates[peer]:.2f}" if peer in rates else "-" for peer in _PEERS),
        _parts(result.get("parts_ms")),
    ]


def _parts(parts: dict[str, float] | None) -> str:
    if parts is None:
        return "-"
    middle = [f"{parts[name]:.1f}" for name in ("forward", "backward") if name in parts]
    if "forward+backward" in parts:
        middle = [f"({parts['forward+backward']:.1f} forward and backward)"]
    ends = [f"{parts.get(name, 0.0):.1f}" for name in ("data", "optimizer", "between")]
    return " + ".join([ends[0], *middle, *ends[1:]])


_GUARD = 0.9  # of the device's memory: the most that a larger batch may take, as predicted


class Bench:
    """Measures one side after another, each in its own process, within the run's time."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self._options, self._scratch, self._length = options, scratch, MAX_LENGTH
        self._end = time.monotonic() + (options.total or 540 * len(options.shapes))

    def prepare(self, shape: str) -> Record:
        """Makes a shape's weights, or tokenizes the rows for --base; facts about both and the device.

        SystemExit when that fails.
        """
        module = "benchmarks.own_rows" if self._options.base else "benchmarks.synthetic"
        facts = run_job(module, self._job(shape, "", BATCH), self._log(f"{shape}-prepare"), self._left())
        if "failed" in facts:
            raise SystemExit(f"benchmarks.train: {shape} could not be prepared: {facts['failed']}")
        self._length = facts["length"]
        return facts

    def measure(self, shape: str, side: Side, micro: int = BATCH) -> Record:
        """A side's result at `micro` sequences a batch, or why it failed."""
        limit = min(self._options.limit, self._left())
        result: Record = {"failed": "left out: the run's time is used up (--total)"}
        if limit > 20:
            print(f"{shape}: {side.name}, batch {micro}", file=sys.stderr, flush=True)
            log = self._log(f"{shape}-{side.name}")
            packages = self._options.unsloth if side.way == "unsloth" else None
            result = run_job(side.module, self._job(shape, side.name, micro), log, limit, packages)
        return {"shape": shape, "side": side.name, "micro": micro, **result}

    def largest(self, shape: str, side: Side, facts: Record, smaller: Record) -> Record:
        """The result at the largest batch that fits: BATCH times a power of two.

        `smaller`, a result at BATCH, predicts how far it may be doubled under the guard; then it is halved while
        memory is what it fails for. That is one attempt most of the time, and an attempt costs a minute.
        """
        micro = 2 * BATCH
        if facts["memory_gib"] and smaller.get("reserved_gib"):
            weights = 2 * facts["parameters"] / 2**30
            one = max(smaller["reserved_gib"] - weights, 0.1) / BATCH
            while weights + one * 2 * micro < _GUARD * facts["memory_gib"]:
                micro *= 2
        result = self.measure(shape, side, micro)
        while "memory" in result.get("failed", "").lower() and "rate" not in result and micro > 2 * BATCH:
            micro //= 2
            result = self.measure(shape, side, micro)
        return result

    def _left(self) -> float:
        return self._end - time.monotonic()

    def _log(self, name: str) -> Path:
        return Path(self._options.out) / f"{name}.log"

    def _job(self, shape: str, side: str, micro: int) -> Job:
        given, name = self._options, f"{shape}-{side or 'prepare'}-{micro}"
        return Job(
            shape=shape,
            side=side,
            tiny=given.tiny,
            weights=given.base or self._scratch / shape,
            folder=self._scratch / name,
            result=self._scratch / f"{name}.json",
            kernels=given.out / f"{shape}-{side}-kernels.txt",
            rows=given.rows,
            micro=micro,
            warmup=given.warmup,
            steps=given.steps,
            seconds=given.seconds,
            apart=1 if given.tiny else 5,
            profiled=1 if given.tiny else 2,
            started=time.monotonic(),
            own_rows=self._scratch / "rows.npz" if given.base else None,
            length=self._length,
        )


def main(arguments: list[str] | None = None) -> None:
    """Runs every side of every shape, writes after each, and prints the table last."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _options(given)
    options.out.mkdir(parents=True, exist_ok=True)
    run: Record = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join(["python", "-m", "benchmarks.train", *given]),
        "warmup": options.warmup,
        "shapes": {},
        "results": [],
    }
    text = ""
    with tempfile.TemporaryDirectory(prefix="copywriter-benchmark-") as scratch:
        bench = Bench(options, Path(scratch))
        for shape in options.shapes:
            facts = run["shapes"][shape] = bench.prepare(shape)
            for side in [SIDES[name] for name in options.sides]:
                if side.largest:
                    known = [one for one in run["results"] if (one["shape"], one["side"]) == (shape, "ours-dense")]
                    result = bench.largest(shape, side, facts, known[0] if known else bench.measure(shape, side))
                else:
                    result = bench.measure(shape, side)
                run["results"].append(result)
                text = write(run, options.out)
            shutil.rmtree(Path(scratch) / shape, ignore_errors=True)  # with --base there is none
    print(text)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    default = [side.name for side in SIDES.values() if side.default]
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["llama-3.2-1b"])
    weights.add_argument(
        "--base", type=Path, help="a folder of trained weights, such as models/base; rows: data/train.parquet"
    )
    parser.add_argument("--unsloth", type=Path, help="a folder of packages that only Unsloth's side imports")
    parser.add_argument(
        "--sides", nargs="+", choices=list(SIDES), default=default, metavar="NAME", help=", ".join(SIDES)
    )
    parser.add_argument("--steps", type=int, default=10**6, help="time at most so many steps a side")
    parser.add_argument("--seconds", type=float, default=15, help="start no further timed step after so long")
    parser.add_argument("--warmup", type=int, default=8, help="steps before the clock starts")
    parser.add_argument("--rows", type=int, default=32000, help="with --base at most so many, the first of the file")
    parser.add_argument("--limit", type=float, default=150, help="seconds that one side may take, set-up included")
    parser.add_argument("--total", type=float, help="seconds that the run may take; 540 a shape")
    parser.add_argument("--tiny", action="store_true", help="toy shapes, to try this out on a CPU")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmarks" / "train")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    options.unsloth = options.unsloth and options.unsloth.resolve()
    if options.base:
        options.base = options.base.resolve()
        if not (options.base / "config.json").exists():
            parser.error(f"--base: {options.base} holds no config.json; run 'dvc repro fetch_model'")
        pin = options.base / "pin.json"  # names the entry of sources.yaml
        options.shapes = [json.loads(pin.read_text())["model"] if pin.exists() else options.base.name]
    return options


if __name__ == "__main__":
    main()
