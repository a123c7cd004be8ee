"""The benchmark of expected memory, on a CPU with a meter that is made up: what is trained, compared and refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import memory, synthetic
from benchmarks.memory import Seen
from copywriter import paths
from copywriter.training import experiment
from copywriter.training.memory import GIB, OUTSIDE
from tests.support import shapes

CPU = torch.device("cpu")
FIGURES = shapes.figures("smollm2-135m", tiny=True)
SMALL = {"batch_size": 2, "micro_batch_size": 2, "advanced.compile": False, "advanced.dequantize": True}


FREE = {"advanced.compile": False, "advanced.memory_fit": "auto", "advanced.dequantize": "auto"}


class Meter(memory.Meter):
    """As if torch had allocated 2 GiB and held 2.5, and all had taken 3."""

    def __init__(self) -> None:
        self.left: list[float] = []

    def leave(self, gib: float) -> int:
        self.left.append(gib)
        return int(gib * GIB)

    def seen(self) -> Seen:
        return Seen(2 * GIB, 5 * GIB // 2, GIB // 2)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "_ROWS", 40)
    monkeypatch.setattr(memory, "_VALIDATION_ROWS", 10)
    synthetic.build(paths.BASE, FIGURES, CPU)
    (paths.BASE / "pin.json").write_text("{}")


def measured(changes: dict[str, Any], gib: float | None = None, by: Meter | None = None) -> dict[str, Any]:
    job = {"changes": changes, "vocabulary": FIGURES["vocab_size"], "gib": gib}
    return memory.measured(job, by or Meter())


@pytest.mark.parametrize("compiled", [False, True])
def test_the_grid_has_each_setting_once(compiled: bool) -> None:
    grid = list(memory.settings([1, 8], compiled))
    assert len({str(one) for one in grid}) == len(grid) == 5 * 2 * 2
    assert all(one["advanced.compile"] is compiled for one in grid)
    assert all(memory.parameters(one).micro_batch_size == one["batch_size"] for one in grid)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("changes", [{}, {"advanced.dequantize": False, "advanced.gradient_checkpointing": True}])
def test_expected_and_measured_memory_share_a_row_of_the_table(changes: dict[str, Any]) -> None:
    found = measured(SMALL | changes)
    seen = Seen(**found["seen"])
    assert seen == Meter().seen()
    line = memory.line("tiny", memory.parameters(SMALL | changes), found["expected"], seen)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert len(cells) == memory.HEAD.splitlines()[0].count("|") - 1 == memory.HEAD.splitlines()[1].count("---")
    in_all = sum(found["expected"].values())
    inside = in_all - found["expected"][OUTSIDE]
    assert cells[6:9] == [f"{inside / GIB:.2f}", "2.00", f"{inside / GIB / 2:.2f}"]
    assert cells[9:] == [f"{in_all / GIB:.2f}", "2.50", "3.00", f"{in_all / GIB / 3:.2f}"]


@pytest.mark.usefixtures("room")
def test_out_of_memory_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(experiment.Experiment, "adapted", out_of_memory)
    found = measured(SMALL)
    assert found["seen"] is None
    cells = memory.line("tiny", memory.parameters(SMALL), found["expected"], None).count("|") - 1
    assert cells == memory.HEAD.splitlines()[0].count("|") - 1
    assert memory.fits(16, measured(SMALL, 16)) == ("16 GiB: as it is: RAN OUT OF MEMORY", False)


@pytest.mark.usefixtures("room")
def test_settings_that_fit_chooses_are_trained_or_refused() -> None:
    by = Meter()
    said, good = memory.fits(2.0, measured(FREE, 2.0, by))
    assert good
    assert "trained, 3.00 GiB seen" in said
    assert by.left == [2.0]
    said, good = memory.fits(0.1, measured(FREE, 0.1, by))
    assert good
    assert "refused: training needs about" in said


def test_a_1b_model_in_4_bits_with_checkpointing_may_take_6_gib() -> None:
    given = {"batch_size": 8, "micro_batch_size": 8, "advanced.dequantize": False}
    given |= {"advanced.gradient_checkpointing": True}
    p, expected = memory.parameters(given), {"weights": 9 * GIB}
    assert memory.most("llama-3.2-1b", p, expected) == 6 * GIB
    assert memory.most("smollm2-135m", p, expected) == 9 * GIB
    assert memory.most("llama-3.2-1b", memory.parameters(given | {"advanced.dequantize": True}), expected) == 9 * GIB


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device would be measured")
def test_without_a_gpu_it_exits_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["memory"])
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        memory.main()
