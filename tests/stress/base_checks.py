"""The checks of tests.stress.real_base: what each compares, and the limit of what may differ."""

import gc
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from copywriter import files, paths
from copywriter.errors import UserError
from copywriter.evaluation import likelihood
from copywriter.export import merged
from copywriter.generation import generate
from copywriter.modeling import device, loading
from copywriter.params import Params
from copywriter.prompt import Example, Prompter, load_tokenizer
from copywriter.training import receipt, tokenized_rows
from copywriter.training.experiment import Experiment
from copywriter.training.trainer import QloraTrainer
from tests.stress import kill
from tests.support import row_losses

TITLES = {
    "captured": "a captured, compiled step trains as an eager one",
    "repeated": "fresh processes compute the same gradient",
    "packed": "packed rows have the losses and gradients of padded ones",
    "merged": "the merged export computes what base and adapter do",
    "killed": "a killed and resumed training ends as an uninterrupted one",
}
LOSSES, DIRECTION = 0.01, 0.95
TIMES_ROUNDING, GRADIENTS = 3, 0.99
ROUNDING = {"fp32": 1e-4, "fp16": 0.03, "bf16": 0.03}  # nats a token
EQUAL = 1e-5  # nats a token: sums in another order in float32
OF_BASE, AGREEMENT = 0.1, 0.95
LIMITS = {
    # AdamW divides each gradient by its own size: one that is smaller than bf16's rounding moves its weight as far as
    # a large one, in a random direction. So adapters may differ more than losses.
    "captured": f"losses {LOSSES:.0%}, cosine {DIRECTION}",
    # Both round to 16 bits, in another order; how much that changes a loss is measured on the base itself.
    "packed": f"apart {TIMES_ROUNDING} x rounding, rounding {ROUNDING['bf16']} (fp32 {ROUNDING['fp32']}), cosine "
    f"{GRADIENTS}",
    # The export stores bf16: each weight is up to 1/512 of itself away, all together far less than the adapter.
    "merged": f"apart {OF_BASE} x base, {AGREEMENT:.0%} of tokens, common share above the base's",
    "repeated": "equal bits",
    "killed": "equal bits",
}
GRADIENT = [sys.executable, "-m", "tests.stress.gradient"]
_AT_ONCE = 2  # a selection by timing differs more often beside other work
_TEXTS, _NEW_TOKENS = 16, 96
_KILLED_AT = 0.6  # of the run's micro-batches


@dataclass(frozen=True)
class Result:
    """A check's figures, and whether they are within its limit; None where the machine cannot make it."""

    figures: str
    passed: bool | None


@dataclass(frozen=True)
class Losses:
    """The same held-out rows measured packed and padded; the same training rows' gradients."""

    packed: list[float]  # of each row, in nats a token
    padded: list[float]
    cosine: float  # of the gradients of packed and padded rows
    precision: str

    @classmethod
    def of(cls, made: Experiment, training: QloraTrainer, eager: QloraTrainer) -> "Losses":
        """Packed rows by `training`, in the batches that it measures and trains; padded ones by `eager`."""
        size, pad_id = made.plan.micro_batch_size, int(made.tokenizer.eos_token_id)
        batches = row_losses.batches(made.validation_data, training.measuring, size)
        alone, padded = row_losses.padded(made.validation, pad_id, size)
        # Training rows: the captured step computes only batches of the size that it was captured with.
        first = range(min(size, len(made.train_data)))
        some = training.data_collator([made.train_data[at] for at in first])
        rows = [made.train[row] for row in row_losses.rows_of(made.train_data, len(first))]
        gradients = (
            row_losses.gradient(training.step, [some]),
            row_losses.gradient(eager.step, row_losses.padded(rows, pad_id, size)[1]),
        )
        return cls(
            packed=row_losses.by_row(training.step.loss, made.validation_data, batches),
            padded=row_losses.by_row(eager.step.loss, alone, padded),
            cosine=float(torch.cosine_similarity(*gradients, dim=0)),
            precision=made.plan.precision,
        )


def captured(made: Experiment, training: QloraTrainer, eager: QloraTrainer) -> Result:
    """Compares losses and adapters of the stage's training and of an eager one; on a CPU both are eager.

    The adapters are compared by B: it starts at 0, so all of it was learned.
    """
    found, expected = (losses(side) for side in (training, eager))
    apart = max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))
    cosine = float(torch.cosine_similarity(learned(training), learned(eager), dim=0))
    figures = f"losses of {len(found)} steps at most {apart:.2%} apart, cosine of B {cosine:.4f}"
    passed = apart <= LOSSES and cosine >= DIRECTION
    if made.processor.type != "cuda":
        return Result(f"needs CUDA; here two eager trainings: {figures}", None if passed else False)
    if not (made.plan.compiled and made.plan.cuda_graph):
        return Result(f"not compiled and captured: {'; '.join(made.plan.reasons)}", False)
    return Result(figures, passed)


def losses(training: QloraTrainer) -> list[float]:
    """The loss of every step."""
    return [one["loss"] for one in training.state.log_history if "loss" in one]


def learned(training: QloraTrainer) -> torch.Tensor:
    """All of the adapter's B as one vector."""
    weights = [one.detach().flatten() for name, one in training.adapter.named_parameters() if "lora_B" in name]
    return torch.cat(weights)


def packed(found: Losses, exact: Sequence[float]) -> Result:
    """Compares packed and padded rows; `exact`: the losses of the merged adapter in float32, by other code."""
    apart, rounding = distance(found.packed, found.padded), distance(found.padded, exact)
    figures = (
        f"NLL of {len(exact)} rows in {found.precision}: packed and padded {apart:.2g} nats a token apart, padded and "
        f"float32 (rounding) {rounding:.2g}; cosine of gradients {found.cosine:.5f}"
    )
    near = rounding <= ROUNDING[found.precision] and apart <= max(TIMES_ROUNDING * rounding, EQUAL)
    return Result(figures, near and found.cosine >= GRADIENTS)


@dataclass(frozen=True)
class Side:
    """What weights compute in float32, where only the rounding of the stored weights is left."""

    nll: list[float]  # of each row, in nats a token
    texts: list[list[int]]  # greedy, without penalties
    agreement: float  # the share of the followed texts' tokens that are its most probable ones

    @classmethod
    def of(cls, weights: Path, p: Params, rows: Sequence[Example], follow: "Side | None" = None) -> "Side":
        """Loads a base, an adapter or an export as scoring does. `follow`: whose texts it continues; None: its own."""
        settings = {"batch_size": _TEXTS, "max_new_tokens": _NEW_TOKENS, "repetition_penalty": 1.0}
        decoding = p.decoding.model_copy(update={**settings, "no_repeat_ngram_size": 0})
        free()
        model = loading.load_dense(weights, p.quantization, torch.float32, device.choose())
        nats = dict(likelihood.nll(model, rows))
        prompts = [row.input_ids[: row.prompt_length] for row in rows[:_TEXTS]]
        found = dict(generate.decode(model, prompts, rows[0].input_ids[-1], decoding))
        texts = [found[number] for number in range(len(prompts))]
        nll = [nats[number] / (len(row.input_ids) - row.prompt_length) for number, row in enumerate(rows)]
        return cls(nll, texts, row_losses.agreement(model, prompts, follow.texts if follow else texts))


def export(p: Params, rows: Sequence[Example], adapter: Side) -> Result:
    """Exports the adapter merged, and compares the folder with the adapter; the base shows what the adapter changed."""
    folder = Path("merged")
    merged.write(paths.ADAPTER, folder, p)
    if examples(folder, p) != rows:
        return Result("the export's tokenizer gives other tokens", False)
    found, base = (Side.of(weights, p, rows, adapter) for weights in (folder, paths.BASE))
    apart, learnt = distance(found.nll, adapter.nll), distance(base.nll, adapter.nll)
    common, of_base = (row_losses.common_share(side.texts, adapter.texts) for side in (found, base))
    figures = (
        f"NLL of {len(rows)} rows {apart:.2g} nats a token apart (base {learnt:.2g}); of the adapter's "
        f"{len(found.texts)} greedy texts {found.agreement:.1%} of the tokens are the export's too (base "
        f"{base.agreement:.1%}), texts have {common:.1%} of their tokens before the first difference (base "
        f"{of_base:.1%})"
    )
    return Result(figures, apart <= OF_BASE * learnt and found.agreement >= AGREEMENT and common > of_base)


def repeated(processes: int) -> Result:
    """Compares the gradients of so many processes in this folder, each with an empty cache of compiled code."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = Counter(pool.map(lambda _: _gradient(), range(processes)))
    seen = ", ".join(f"{one[:16]} {times} times" for one, times in found.most_common())
    return Result(f"SHA-256 in {processes} processes: {seen}", len(found) == 1)


def _gradient() -> str:
    with tempfile.TemporaryDirectory(prefix="copywriter-gradient-") as cold:
        variables = kill.environment() | {"TORCHINDUCTOR_CACHE_DIR": cold}
        done = subprocess.run(GRADIENT, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(GRADIENT[1:])} failed: {' '.join(done.stderr[-1000:].split())}")
    return done.stdout.splitlines()[-1]


def killed(struck: Path, micro_batches: int) -> Result:
    """Kills the training in the folder `struck` and types the command again; the end must be that of this folder."""
    point = ("step", 1 + round(_KILLED_AT * micro_batches))
    log = struck / "log.txt"
    if failed := kill.strike(kill.fresh, struck, log, point):
        return Result(f"{failed}: {' '.join(log.read_text()[-1000:].split())}", False)
    _, resumed, rest = log.read_text().partition("resumes from ")
    if not resumed:
        return Result("it did not resume from a checkpoint", False)
    expected, found = kill.outcome(Path()), kill.outcome(struck)
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    adapter = files.sha256(struck / paths.ADAPTER / loading.WEIGHTS)
    compared = f"{len(found)} files equal"
    if differing:
        where = f"{_first_difference(paths.TRAIN_HISTORY, struck)}, {_plans(struck)}"
        compared = f"{', '.join(differing)} DIFFERENT, {where}"
    figures = (
        f"killed in micro-batch {point[1]} of {micro_batches}, resumed from {Path(rest.split()[0]).name}: {compared}, "
        f"SHA-256 of the adapter {adapter[:16]}"
    )
    return Result(figures, not differing)


def _first_difference(history: Path, struck: Path) -> str:
    """The first step whose loss differs: one before the kill means that not even two uninterrupted runs are equal."""
    one, other = (file.read_text().splitlines() for file in (history, struck / history))
    for line, other_line in zip(one, other, strict=False):
        if line != other_line:
            return f"{history.name} from step {line.split(',')[0]} on"
    return f"{history.name} equal" if len(one) == len(other) else f"{history.name} of another length"


def _plans(struck: Path) -> str:
    """Whether both trainings had one run plan: another amount of free memory may give another."""
    one, other = (receipt.read(room / paths.ADAPTER)["plan"] for room in (Path(), struck))
    return "equal run plans" if one == other else f"run plans {one} and {other}"


def examples(weights: Path, p: Params) -> list[Example]:
    """The held-out rows as the tokenizer in `weights` encodes them."""
    prompter = Prompter(load_tokenizer(weights), p)
    return tokenized_rows.examples(paths.VALIDATION, weights, prompter, p)


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """The root mean square of the differences."""
    return float((torch.tensor(one).double() - torch.tensor(other).double()).square().mean().sqrt())


def free() -> None:
    """Gives back the memory of models that nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def table(results: dict[str, Result]) -> str:
    """A Markdown table, a row for each check."""
    words = {True: "passed", False: "FAILED", None: "not run"}
    lines = ["| check | figures | limit | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {TITLES[name]} | {one.figures} | {LIMITS[name]} | {words[one.passed]} |" for name, one in results.items()
    ]
    return "\n".join(lines)
