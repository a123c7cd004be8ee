"""Row validation: every violation names its row, and a leak between rows is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from copywriter import params, paths, records
from copywriter.errors import UserError
from copywriter.modeling import loading, lora, loss
from copywriter.prompt import Example, load_tokenizer
from copywriter.training import experiment, packing, row_validation, run_plan, trainer
from tests.conftest import changed
from tests.support.training import CPU, SMALL, examples

END, VOCABULARY = 0, 100
GOOD = Example([5, 6, 7, END], 2, False)
TITLES = ["Bucket", "Spade " * 20, "Rake"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three rows, of which the second has a long title."""
    records.write_products(tmp_path / "train.parquet", [records.Product(title, "Steel.") for title in TITLES])
    return tmp_path / "train.parquet"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Example([5] * 96 + [END], 2, True), "longer than 96 tokens"),
        (Example([*[5] * 65, 6, END], 65, False), "prompt over 64 tokens"),
        (Example([5, 6], 2, False), "no trained token"),
        (Example([5, END], 1, False), "empty completion"),
    ],
)
def test_a_row_beyond_the_limits_is_named_before_it_is_packed(row: Example, message: str, file: Path) -> None:
    p = changed(**SMALL)
    row_validation.check_lengths([GOOD, GOOD, GOOD], p, file)
    with pytest.raises(
        UserError, match=rf"row 1 of .*'Spade Spade .*…'\) has an? {message}|row 1 .*(has|has an|is) {message}"
    ) as caught:
        row_validation.check_lengths([GOOD, row, row], p, file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Example([5, 6, 7, 8], 2, True), "does not end with the end token"),  # the model would never learn to stop
        (Example([5, 6, END, 7, END], 2, False), "an end token within its completion"),
        (Example([5, 6, VOCABULARY, END], 2, False), "outside the model's vocabulary of 100.*fetch_model"),
        (Example([-1, 6, 7, END], 2, False), "outside the model's vocabulary"),
    ],
)
def test_a_row_with_wrong_tokens_is_named(row: Example, message: str, file: Path) -> None:
    partly = Example([5, 6, 7, 8, END], 2, False, ((2, 4),))
    row_validation.check(packing.Sequences([[GOOD, partly], [GOOD]]), END, VOCABULARY, file)
    with pytest.raises(UserError, match=f"row 2 .*'Rake'.*{message}"):  # by its number in the file, not in the packing
        row_validation.check(packing.Sequences([[row, GOOD], [GOOD]], [[2, 0], [1]]), END, VOCABULARY, file)


@pytest.mark.parametrize(
    ("array", "at", "value", "message"),
    [
        ("labels", 7, loss.IGNORED, "an end token that is not trained"),
        ("labels", 6, loss.IGNORED, "a completion token that is not trained"),
        ("labels", 5, 6, "a prompt token that is trained"),
        ("untrained", 6, True, "an untrained token that is trained"),
        ("untrained", 5, True, "an untrained token that is trained, or is of its prompt"),
        ("labels", 6, 9, "a label that is not its token"),
        ("labels", slice(4, 8), loss.IGNORED, "an end token that is not trained"),
        ("positions", slice(4, 8), [4, 5, 6, 7], "positions that do not run from 0"),
        ("positions", 6, 0, "positions that do not run from 0"),
    ],
)
def test_a_sequence_that_differs_from_its_rows_is_named(
    array: str, at: Any, value: Any, message: str, file: Path
) -> None:
    data = packing.Sequences([[GOOD, GOOD], [GOOD]])
    getattr(data, array)[at] = value
    with pytest.raises(UserError, match=f"row 1 .*{message}"):
        row_validation.check(data, END, VOCABULARY, file)


def test_padding_with_labels_is_refused() -> None:
    data = packing.Sequences([[GOOD, GOOD], [GOOD]])
    row_validation.check_padding(packing.Collator(END, 32, 4, 64), data, 2)

    class Careless(packing.Collator):
        def __call__(self, sequences: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            batch = super().__call__(sequences)
            batch["targets"][batch["targets"] == loss.IGNORED] = END
            return batch

    with pytest.raises(ValueError, match="padding has labels"):
        row_validation.check_padding(Careless(END, 32, 4, 64), data, 2)


def training(room: Path, p: params.Params, rows: list[Example]) -> trainer.QloraTrainer:
    adapted = lora.with_adapter(loading.load_base(paths.BASE, p.quantization, torch.float32, CPU), p)
    data = experiment.sequences(rows, p)
    plan = run_plan.as_asked(p, CPU, len(data))
    return trainer.QloraTrainer(adapted, load_tokenizer(paths.BASE), p, plan, data, data, room / "state")


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("packed", [True, False])
def test_rows_of_a_batch_stay_apart(room: Path, quantization: str, packed: bool) -> None:
    p = changed(**SMALL, quantization=quantization, packing=packed)
    rows = examples(paths.BASE, p)
    one = training(room, p, rows)
    data = experiment.sequences(rows, p)
    for batch in (row_validation.small_batch(rows), one.measuring([data[number] for number in range(4)])):
        row_validation.check_isolation(one.step.loss, batch)


def test_a_leak_between_rows_is_found(room: Path) -> None:
    p = changed(**SMALL)
    rows = examples(paths.BASE, p)
    one = training(room, p, rows)

    def leaking(batch: row_validation.Batch) -> torch.Tensor:
        positions = torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])
        return one.step.loss(batch | {"position_ids": positions})  # the mask follows them: all are one row

    with pytest.raises(UserError, match="see each other"):
        row_validation.check_isolation(leaking, row_validation.small_batch(rows))


def test_a_nan_loss_of_the_untrained_model_is_explained(room: Path) -> None:
    p = changed(**SMALL)
    measure: Callable[[row_validation.Batch], torch.Tensor] = lambda batch: torch.tensor([np.nan, 1.0])  # noqa: E731
    with pytest.raises(UserError, match="set precision"):
        row_validation.check_isolation(measure, row_validation.small_batch(examples(paths.BASE, p)))
