"""Claims about fine-tuning, measured: `python -m benchmarks.claims [--only NAME ...] [--jobs N]`.

Each variant is the working folder's params.yaml with some changes, as `dvc exp run -S ...` would make them. It is
trained and scored by the stages' own code, in a folder of its own under runs/benchmarks/claims, on *validation* rows:
the test set chooses nothing. Differences to the unchanged variant have paired 95% intervals. A text is one greedy
text (`decoding.candidates: 1`), so that a neighbour's own description never takes a text's place. A variant that ended
with these params and rows is not run again: a call after an interruption continues.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks import markdown
from copywriter import errors, files, params, paths
from copywriter.errors import UserError
from copywriter.evaluation import row_statistics, significance
from copywriter.evaluation.row_statistics import Statistics
from copywriter.evaluation.scores import NAMES
from copywriter.evaluation.verdict import number, outcome
from copywriter.retrieval import neighbours
from tests.support import process, trial

UNCHANGED = "unchanged"
SHOWN = ("nll", "bleu", "rougeL", "chrf", "stopped")
_STAGES = (("train_qlora",), ("evaluate", "tuned"))
_NOTEBOOK_QUESTION = "Gere uma descrição criativa para o produto:"


@dataclass(frozen=True)
class Variant:
    """One line of the table."""

    claim: str  # what people say of it
    changes: dict[str, Any] = field(default_factory=dict)  # of params.yaml, a dot for a section's key

    @property
    def command(self) -> str:
        """The experiment that repeats it."""
        given = [f"-S '{key}={_yaml(value)}'" for key, value in self.changes.items()]
        return " ".join(["dvc exp run", *given])


def variants(p: params.Params) -> dict[str, Variant]:
    """By name; the first is unchanged. A changed rank keeps `alpha / r`, and so the adapter's scale."""
    scale = p.lora.alpha / p.lora.r
    more, most = max(1, p.epochs - 2), p.epochs + 2
    return {
        UNCHANGED: Variant("params.yaml as it is"),
        "8bit": Variant("4 bits lose something that 8 bits keep", {"quantization": "8bit"}),
        "16bit": Variant("4 bits lose nothing that can be seen", {"quantization": "none"}),
        "no-packing": Variant("packing is faster and changes nothing", {"packing": False}),
        "max-length-256": Variant("a shorter max_length is enough", {"max_length": 256}),
        f"epochs-{more}": Variant("one pass over the data is enough", {"epochs": more}),
        f"epochs-{most}": Variant("more epochs are better", {"epochs": most}),
        "rank-4": Variant("a small rank is enough", {"lora.r": 4, "lora.alpha": round(4 * scale)}),
        "rank-64": Variant("a larger rank learns more", {"lora.r": 64, "lora.alpha": round(64 * scale)}),
        "attention-only": Variant(
            "adapters on attention are enough", {"lora.target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
        ),
        "micro-batch-1": Variant("accumulated gradients equal a batch", {"micro_batch_size": 1}),
        "notebook-prompt": Variant(
            "the wording of the prompt decides",
            {"prompt.questions": [_NOTEBOOK_QUESTION], "prompt.template": "{question} {title}{facts}{neighbours}"},
        ),
        "all-sentences": Variant("a model should be trained on all of a text", {"advanced.train_on_unsupported": True}),
        "no-neighbours": Variant("the model needs no similar product", {"retrieval.neighbours": 0}),
    }


def prepare(folder: Path, changes: Mapping[str, Any]) -> None:
    """Makes a variant's working folder: the data and the base of this one, with the validation rows as its test set."""
    files_of = {paths.TRAIN: paths.TRAIN, paths.VALIDATION: paths.VALIDATION, paths.TEST: paths.VALIDATION}
    for name, source in files_of.items():
        _link(folder / name, source)
        _link(folder / neighbours.file(name), neighbours.file(source))
    _link(folder / paths.BASE, paths.BASE)
    _link(folder / paths.SOURCES, paths.SOURCES)
    content = trial.changed(params.load(), {"decoding.candidates": 1, **changes}).model_dump()
    (folder / paths.PARAMS).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def run(folder: Path, variant: Variant) -> None:
    """Trains and scores one variant, unless it ended before; UserError with the last line of its log."""
    ended = folder / "ended.json"
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, variant.changes)
    asked = {"params": (folder / paths.PARAMS).read_text(encoding="utf-8"), "rows": _rows()}
    if ended.exists() and json.loads(ended.read_text(encoding="utf-8"))["asked"] == asked:
        return
    ended.unlink(missing_ok=True)
    environment = process.environment() | {"COPYWRITER_RUNS": str(folder / "runs"), "DVC_ROOT": str(folder)}
    seconds = {}
    for module, *arguments in _STAGES:
        started = time.perf_counter()
        with (folder / f"{module}.log").open("w") as log:
            command = [sys.executable, "-m", f"stages.{module}", *arguments]
            code = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log).returncode
        if code:
            lines = (folder / f"{module}.log").read_text(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise UserError(f"{module} of {folder.name} failed: {lines[-1]}")
        seconds[module] = round(time.perf_counter() - started, 1)
    files.write_json(ended, {"asked": asked, "seconds": seconds})


def table(out: Path, found: Mapping[str, Variant], seed: int) -> str:
    """The scores of variants that ended, and each difference to the unchanged one, as Markdown."""
    heads = ["variant", *(NAMES[name] for name in SHOWN), "tokens/s", "training s", "adapter MB"]
    lines, told = [], []
    reference = _statistics(out / UNCHANGED)
    for name, variant in found.items():
        folder = out / name
        scored = json.loads((folder / paths.scores("tuned")).read_text())
        seconds = json.loads((folder / "ended.json").read_text())["seconds"]
        speed = folder / "runs" / paths.SPEED.name
        rate = f"{json.loads(speed.read_text())['tokens_per_second']:,}" if speed.exists() else ""
        size = sum(file.stat().st_size for file in (folder / paths.ADAPTER).glob("*.safetensors")) / 1e6
        values = [number(key, scored[key]) if key in scored else "" for key in SHOWN]
        lines.append([name, *values, rate, str(seconds["train_qlora"]), f"{size:.1f}"])
        if name != UNCHANGED:
            compared = significance.compare(reference, _statistics(folder), seed)
            told += ["", f"**{name}** ({variant.claim}): `{variant.command}`", ""]
            for key in (key for key in SHOWN if key in compared):
                one = compared[key]
                low, high = number(key, one.low, True), number(key, one.high, True)
                told.append(
                    f"- {NAMES[key]} {number(key, one.difference, True)} ({low} to {high}): {outcome(key, one)}"
                )
    return markdown.table(heads, lines) + "\n".join(told)


def _rows() -> list[str]:
    """Hashes of the rows of training and validation."""
    return [files.sha256(path) for path in (paths.TRAIN, paths.VALIDATION)]


def _statistics(folder: Path) -> Statistics:
    return row_statistics.read(folder / paths.statistics("tuned"))


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(errors.existing(target, "dvc repro retrieve fetch_model").resolve())


def _yaml(value: Any) -> str:
    """A value as `-S` takes it."""
    if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what did not end yet and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the variants, beside the unchanged one")
    parser.add_argument("--jobs", type=int, default=1, help="variants at once; their speeds are then not comparable")
    parser.add_argument("--out", type=Path, default=paths.RUNS / "benchmarks/claims", help="folder of the variants")
    options = parser.parse_args(arguments)
    p = params.load()
    found = variants(p)
    if unknown := set(options.only or ()) - set(found):
        parser.error(f"no variant {sorted(unknown)[0]}; choose among {', '.join(found)}")
    found = {name: one for name, one in found.items() if not options.only or name in {UNCHANGED, *options.only}}
    out = options.out.resolve()
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            for job in [pool.submit(run, out / name, one) for name, one in found.items()]:
                job.result()
    except UserError as error:
        raise SystemExit(f"claims: {error}") from None
    print(table(out, found, p.seed))


if __name__ == "__main__":
    main()
