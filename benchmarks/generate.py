"""Speed of generation, this project and its peers on one device: `python -m benchmarks.generate`.

Random weights in a published shape. Prompts and text lengths (benchmarks/synthetic.py) are the same for all sides; a
slow side writes only the first of them. New tokens a second do not count what a batch computes after the
end of a text. Processor seconds are summed over all cores. Each side runs in its own process and is warmed up with
the first tokens of its texts.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria

from benchmarks.sides import LORA, ROOT, SEED
from benchmarks.synthetic import PAD, build, draw
from copywriter import params
from copywriter.generation import generate
from copywriter.modeling import compilation, device, loading, lora
from tests.support import shapes

Prompts = Sequence[list[int]]
Caps = Sequence[int]  # new tokens of each row: random weights would never stop
_NEW = 450
_NEVER = -1  # an end token's id that no model writes: on every side a text ends after the tokens of its row


class _Ended(StoppingCriteria):
    """Stops each row after its number of new tokens, as if the model had written its end token."""

    def __init__(self, width: int, caps: torch.Tensor) -> None:
        self._width, self._caps = width, caps

    def __call__(self, input_ids: torch.Tensor, scores: Any, **unused: Any) -> Any:
        return input_ids.shape[1] - self._width >= self._caps


def adapted(weights: Path) -> Any:
    """The 4-bit base with an unmerged adapter, as it is after training."""
    processor = device.choose()
    base = loading.load_base(weights, "4bit", device.dtype("auto", processor), processor)
    p = params.load(ROOT / "params.yaml")
    settings = {**LORA, "dropout": 0.0, "target_modules": "all-linear"}
    return lora.with_adapter(base, p.model_copy(update={"lora": p.lora.model_copy(update=settings)})).eval()


def dense(weights: Path) -> Any:
    """Plain 16-bit weights, an adapter merged into them or none."""
    processor = device.choose()
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        weights, dtype=device.dtype("auto", processor), device_map={"": processor}, attn_implementation="sdpa"
    )
    return loaded.eval()


def batches(size: int) -> Callable[[Any, Prompts, Caps], int]:
    """transformers' generate, `size` prompts at a time, in their order, padded on the left."""

    def write(loaded: Any, prompts: Prompts, caps: Caps) -> int:
        count = 0
        for start in range(0, len(prompts), size):
            batch, most = prompts[start : start + size], torch.tensor(caps[start : start + size])
            width = max(map(len, batch))
            ids = torch.tensor([[PAD] * (width - len(one)) + one for one in batch], device=loaded.device)
            loaded.generate(
                input_ids=ids,
                attention_mask=ids.ne(PAD).long(),
                do_sample=False,
                max_new_tokens=_NEW,
                eos_token_id=None,
                pad_token_id=PAD,
                stopping_criteria=[_Ended(width, most.to(loaded.device))],
            )
            count += int(most.sum())
        return count

    return write


def continuous(loaded: Any, prompts: Prompts, caps: Caps) -> int:
    """transformers' own continuous batching."""
    config = GenerationConfig(do_sample=False, max_new_tokens=_NEW, eos_token_id=-1, pad_token_id=PAD)  # type: ignore[no-untyped-call]
    count = 0
    with loaded.continuous_batching_context_manager(generation_config=config) as manager:
        for ids, most in zip(prompts, caps, strict=True):
            manager.add_request(ids, max_new_tokens=most)
        waiting = len(prompts)
        while waiting:
            if result := manager.get_result(timeout=1):
                waiting -= 1
                count += len(result.generated_tokens)
            elif not manager.is_running():
                raise RuntimeError(f"continuous batching stopped with {waiting} prompts unanswered")
    return count


def ours(slots: int) -> Callable[[Any, Prompts, Caps], int]:
    """copywriter.generation.generate with so many texts at once."""

    def write(loaded: Any, prompts: Prompts, caps: Caps) -> int:
        decoding = params.load(ROOT / "params.yaml").decoding.model_copy(
            update={"batch_size": slots, "max_new_tokens": _NEW}
        )
        compiled = compilation.obstacle(loaded.device) is None
        rows = generate.decode(loaded, prompts, _NEVER, decoding, most=caps, width=75, compiled=compiled)
        return sum(len(ids) for _, ids in rows)

    return write


Way = tuple[Callable[[Path], Any], Callable[[Any, Prompts, Caps], int], int, str]
WAYS: dict[str, Way] = {  # how the model is loaded, how it writes, for how many prompts it is timed, and a note
    "one-at-a-time": (adapted, batches(1), 3, "generate, 4-bit base and adapter, a prompt a call"),
    "batches-4bit": (adapted, batches(256), 256, "generate, 4-bit base and adapter, 256 prompts a call"),
    "batches-merged": (dense, batches(256), 512, "generate, 16-bit weights, 256 prompts a call"),
    "batches-16": (dense, batches(16), 64, "generate, merged weights, 16 prompts a call"),
    "continuous": (dense, continuous, 512, "transformers' continuous batching, 16-bit weights"),
    "ours": (dense, ours(512), 4000, "ours, 16-bit weights, 512 at once"),
}


_WARM_UP = 4  # new tokens of every text


def measure(side: str, shape: str, weights: Path, count: int | None, tiny: bool) -> dict[str, Any]:
    """One side's prompts (`count`, or its default number), new tokens, seconds and set-up seconds."""
    load, write, default, _ = WAYS[side]
    begin = time.perf_counter()
    loaded = load(weights)
    examples = draw(count or default, shapes.figures(shape, tiny)["vocab_size"], SEED)
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


def measure_in_process(side: str, options: argparse.Namespace, weights: Path) -> dict[str, Any]:
    """The result of `measure` for a side in its own process, or why it failed."""
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
            results[side] = measure_in_process(side, options, Path(scratch))
            print(f"{side}: {results[side]}", file=sys.stderr, flush=True)
    text = table(options.shape, results)
    (options.out / f"{options.shape}.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
