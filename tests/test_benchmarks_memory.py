"""The benchmark of expected memory, on a CPU with a meter that is made up: what is trained, compared and refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import memory, prepare, shapes
from benchmarks.memory import Seen
from copywriter import paths
from copywriter.training import experiment
from copywriter.training.memory import GIB, OUTSIDE

CPU = torch.device("cpu")
FIGURES = shapes.figures("smollm2-135m", tiny=True)


class Meter:
    """As if torch had allocated 2 GiB and all had taken 3."""

    def __init__(self) -> None:
        self.limits: list[float] = []

    def begin(self) -> None:
        """Nothing to forget."""

    def seen(self) -> Seen:
        return Seen(2 * GIB, 3 * GIB)

    @contextmanager
    def limited(self, gib: float) -> Iterator[None]:
        self.limits.append(gib)
        yield


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "_ROWS", 40)
    monkeypatch.setattr(memory, "_HELD", 10)
    prepare.build(paths.BASE, FIGURES, CPU)
    (paths.BASE / "pin.json").write_text("{}")


def test_the_grid_holds_every_setting_once_and_checkpoints_only_what_is_not_compiled() -> None:
    eager, compiled = list(memory.settings([1, 8], False)), list(memory.settings([1, 8], True))
    assert len({str(one) for one in eager}) == len(eager) == 5 * 2 * 2
    assert len({str(one) for one in compiled}) == len(compiled) == 5 * 2
    assert not any(one["gradient_checkpointing"] for one in compiled)
    assert all(memory.parameters(one).micro_batch_size == one["batch_size"] for one in eager)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("changes", [{}, {"dequantize": False, "gradient_checkpointing": True}])
def test_a_setting_is_trained_as_the_stage_does_and_stands_beside_what_was_expected(changes: dict[str, Any]) -> None:
    given = {"batch_size": 2, "micro_batch_size": 2, "compile": False}
    p = memory.parameters(given | {"dequantize": True} | changes)
    expected, seen = memory.train(p, Meter(), FIGURES["vocab_size"])  # type: ignore[arg-type]
    assert seen == Seen(2 * GIB, 3 * GIB)
    cells = [cell.strip() for cell in memory.line("tiny", p, expected, seen).split("|")[1:-1]]
    assert len(cells) == memory.HEAD.splitlines()[0].count("|") - 1
    inside = sum(expected.values()) - expected[OUTSIDE]
    assert cells[6:9] == [f"{inside / GIB:.2f}", "2.00", f"{inside / GIB / 2:.2f}"]
    assert cells[9:] == [f"{sum(expected.values()) / GIB:.2f}", "3.00", f"{sum(expected.values()) / GIB / 3:.2f}"]


@pytest.mark.usefixtures("room")
def test_memory_that_runs_out_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(experiment.Experiment, "adapted", out_of_memory)
    p = memory.parameters({"compile": False, "dequantize": True})
    expected, seen = memory.train(p, Meter(), FIGURES["vocab_size"])  # type: ignore[arg-type]
    assert seen is None
    assert "ran out" in memory.line("tiny", p, expected, seen)
    assert memory.fits(16, {}, Meter(), FIGURES["vocab_size"])[1] is False  # type: ignore[arg-type]


@pytest.mark.usefixtures("room")
def test_what_fit_chooses_is_trained_under_the_limit_and_what_cannot_fit_is_no_failure() -> None:
    meter: Any = Meter()
    said, good = memory.fits(2.0, {}, meter, FIGURES["vocab_size"])
    assert good
    assert "trained, 3.00 GiB seen" in said
    assert meter.limits == [2.0]
    said, good = memory.fits(0.1, {}, meter, FIGURES["vocab_size"])
    assert good
    assert "refused: training needs about" in said
    assert meter.limits == [2.0]


def test_a_1b_model_in_4_bits_with_checkpointing_may_take_6_gib() -> None:
    given = {"batch_size": 8, "micro_batch_size": 8, "dequantize": False, "gradient_checkpointing": True}
    p, expected = memory.parameters(given), {"weights": 9 * GIB}
    assert memory.most("llama-3.2-1b", p, expected) == 6 * GIB
    assert memory.most("smollm2-135m", p, expected) == 9 * GIB
    assert memory.most("llama-3.2-1b", memory.parameters(given | {"dequantize": True}), expected) == 9 * GIB


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device would be measured")
def test_without_a_gpu_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["memory"])
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        memory.main()
