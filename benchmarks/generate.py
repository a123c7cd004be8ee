"""Speed of writing texts, this project's way beside its peers', on one device: `python -m benchmarks.generate`.

Random weights in a published shape; prompts and the lengths of texts drawn as benchmarks/rows.py says, the same for all
sides; a side that is slow writes the first of them only. New tokens a second leave out what a batch computes behind a
text's end; processor seconds are those of all cores. Every side is warmed up with the beginnings of its texts and has
a process of its own.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks import rows, shapes
from benchmarks.prepare import build
from benchmarks.sides import ROOT, SEED
from benchmarks.writers import WAYS
from copywriter.modeling import device

_WARM_UP = 4  # new tokens of every text


def measure(side: str, shape: str, weights: Path, count: int | None, tiny: bool) -> dict[str, Any]:
    """One side's prompts (`count`, or as many as it is meant for), new tokens, seconds and set-up seconds."""
    load, write, meant, _ = WAYS[side]
    begin = time.perf_counter()
    loaded = load(weights)
    examples = rows.draw(count or meant, shapes.figures(shape, tiny)["vocab_size"], SEED)
    prompts = [one.input_ids[: one.prompt_length] for one in examples]
    caps = [len(one.input_ids) - one.prompt_length for one in examples]
    write(loaded, prompts, [min(one, _WARM_UP) for one in caps])
    setup = time.perf_counter() - begin
    cuda = loaded.device.type == "cuda"
    begin, worked = time.perf_counter(), time.process_time()
    tokens = write(loaded, prompts, caps)
    if cuda:
        torch.cuda.synchronize()
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    if tokens != sum(caps):
        raise SystemExit(f"{side} wrote {tokens} tokens instead of {sum(caps)}")
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    timed = {"seconds": seconds, "processor": worked, "setup": setup}
    return {"prompts": len(prompts), "tokens": tokens, **timed, "peak_gib": peak}


def table(shape: str, results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown."""
    processor = device.choose()
    libraries = f"torch {torch.__version__}, transformers {transformers.__version__}"
    lines = [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {device.name(processor)}, {libraries}, {shape}",
        "",
        "| side | prompts | new tokens | seconds | new tokens/s | ours is | processor s | set-up s | peak GiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours = results.get("ours", {})
    for side, one in results.items():
        note = WAYS[side][3]
        if "failed" in one:
            lines.append(f"| {note} | failed: {one['failed']} | | | | | | | |")
            continue
        rate = one["tokens"] / one["seconds"]
        ratio = f"{ours['tokens'] / ours['seconds'] / rate:.1f} x" if "tokens" in ours else "-"
        peak = f"{one['peak_gib']:.1f}" if one["peak_gib"] is not None else "-"
        times = (f"{one['processor']:.1f}", f"{one['setup']:.0f}")
        cells = (f"{one['tokens']:,}", f"{one['seconds']:.1f}", f"{rate:,.0f}", ratio, *times, peak)
        lines.append(f"| {note} | {one['prompts']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def apart(side: str, options: argparse.Namespace, weights: Path) -> dict[str, Any]:
    """What `measure` says of a side in a process of its own, or how that failed."""
    command = [sys.executable, "-m", "benchmarks.generate", "--only", side, "--weights", str(weights)]
    command += ["--shape", options.shape, *["--tiny"] * options.tiny]
    command += ["--prompts", str(options.prompts)] if options.prompts else []
    log = options.out / f"{options.shape}-{side}.log"
    with log.open("w") as stream:
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stream, timeout=options.limit)
        except subprocess.TimeoutExpired:
            return {"failed": f"not done within {options.limit:.0f} s"}
    if done.returncode:
        return {"failed": (log.read_text().strip().splitlines() or ["no output"])[-1][:200].replace("|", "/")}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Runs each side and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("--shape", choices=list(shapes.SHAPES), default="llama-3.2-1b")
    sides = [side for side in WAYS if side != "batches-16"]  # for a CPU, which larger batches do not make faster
    parser.add_argument("--sides", nargs="+", choices=list(WAYS), default=sides)
    parser.add_argument("--prompts", type=int, help="for every side; by default as many as its speed allows")
    parser.add_argument("--tiny", action="store_true", help="a toy of the shape, for a CPU")
    parser.add_argument("--limit", type=float, default=150, help="seconds that one side may take, set-up included")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmarks" / "generate")
    parser.add_argument("--only", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.shape, options.weights, options.prompts, options.tiny)))
        return
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="copywriter-benchmark-") as scratch:
        build(Path(scratch), shapes.figures(options.shape, options.tiny), device.choose())
        results = {}
        for side in options.sides:
            results[side] = apart(side, options, Path(scratch))
            print(f"{side}: {results[side]}", file=sys.stderr, flush=True)
    text = table(options.shape, results)
    (options.out / f"{options.shape}.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
