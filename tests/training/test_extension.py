"""Epochs that extend: 3 and then 5 is 5 from nothing, bit for bit, at the cost of two; and back again."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from copywriter import files, paths
from copywriter.modeling import loading
from copywriter.training.trainer import QloraTrainer
from stages import train_qlora
from tests.support.training import mark_of, outcome, prepare

# Out of step with each other and with the epochs.
ODD = {"save_steps": 4, "advanced__log_steps": 3, "advanced__eval_steps": 5, "lora__dropout": 0.1}
ODD |= {"micro_batch_size": 4}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that are computed, in their order, a number for each micro-batch."""
    seen: list[int] = []
    whole = QloraTrainer.training_step

    def counted(self: QloraTrainer, *rest: Any) -> Any:
        seen.append(self.state.global_step)
        return whole(self, *rest)

    monkeypatch.setattr(QloraTrainer, "training_step", counted)
    return seen


def train(room: Path, **changes: Any) -> tuple[str, str, str]:
    train_qlora.run(prepare(room, **{**ODD, **changes}))
    return outcome()


def final_state(room: Path) -> dict[str, str]:
    """Hashes of the last checkpoint: weights, moments, random states, history."""
    (folder,) = (room / "runs/train").iterdir()
    last = max(folder.glob("checkpoint-*-of-*"), key=lambda one: [int(n) for n in one.name.split("-")[1::2]][::-1])
    return {last.name: files.digest(files.folder_hashes(last))}


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
@pytest.mark.parametrize("packing", [True, False])
def test_three_epochs_and_then_five_are_five_from_nothing(
    room: Path, steps: list[int], quantization: str, packing: bool
) -> None:
    given = {"quantization": quantization, "packing": packing}
    whole = train(room, epochs=5, **given)
    state = final_state(room)
    shutil.rmtree(room / "runs/train")
    train(room, epochs=3, **given)
    steps.clear()
    assert train(room, epochs=5, **given) == whole
    assert final_state(room) == state
    epoch = int(json.loads((paths.ADAPTER / loading.RECEIPT).read_text())["steps"]) // 5
    decay = epoch // 2
    assert sorted(set(steps)) == list(range(3 * epoch - decay, 5 * epoch))  # two epochs and the decay


def test_two_epochs_after_three_cost_the_decay_alone(room: Path, steps: list[int]) -> None:
    two = train(room, epochs=2)
    shutil.rmtree(room / "runs/train")
    three = train(room, epochs=3)
    steps.clear()
    assert train(room, epochs=2) == two
    epoch = int(json.loads((paths.ADAPTER / loading.RECEIPT).read_text())["steps"]) // 2
    assert sorted(set(steps)) == list(range(2 * epoch - epoch // 2, 2 * epoch))
    steps.clear()
    assert train(room, epochs=3) == three
    assert not steps  # its own last state is still there


@pytest.mark.parametrize("changes", [{"schedule__decay": 0.0}, {"schedule__shape": "constant"}])
def test_without_a_decay_an_extension_costs_the_new_epochs_alone(
    room: Path, steps: list[int], changes: dict[str, Any]
) -> None:
    whole = train(room, epochs=3, **changes)
    shutil.rmtree(room / "runs/train")
    train(room, epochs=1, **changes)
    done = len(set(steps)) // 3
    steps.clear()
    assert train(room, epochs=3, **changes) == whole
    assert min(steps) == done


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_a_schedule_that_depends_on_the_total_begins_anew(room: Path, steps: list[int], shape: str) -> None:
    train(room, epochs=2, schedule__shape=shape)
    steps.clear()
    train(room, epochs=3, schedule__shape=shape)
    assert min(steps) == 0
    assert len(list((room / "runs/train").iterdir())) == 2


def test_histories_hold_no_row_of_another_runs_decay_and_no_clock(room: Path) -> None:
    train(room, epochs=2, advanced__log_steps=1)
    train(room, epochs=4, advanced__log_steps=1)
    rows = list(csv.DictReader(paths.TRAIN_HISTORY.open()))
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    rates = [float(row["learning_rate"]) for row in rows]
    epoch = len(rows) // 4
    assert len(set(rates[2 : -(epoch // 2)])) == 1  # one plateau from the warm-up to the only decay
    assert set(rows[0]) == {"step", "epoch", "loss", "learning_rate", "grad_norm"}


def test_epochs_are_part_of_the_name_only_where_they_change_the_steps(room: Path) -> None:
    base = loading.base_identity(paths.BASE) if prepare(room) else {}
    for shape, same in (("wsd", True), ("constant", True), ("cosine", False), ("linear", False)):
        marks = {mark_of(prepare(room, epochs=n, schedule__shape=shape), base) for n in (1, 2)}
        assert (len(marks) == 1) == same
    assert len({mark_of(prepare(room, schedule__decay=one), base) for one in (0.2, 0.5)}) == 2


def test_data_loaders_in_processes_of_their_own_change_nothing(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = prepare(room, lora__dropout=0.1, micro_batch_size=4)
    found = []
    make = QloraTrainer.get_train_dataloader
    for workers in (0, 1, 2):

        def with_workers(self: QloraTrainer, workers: int = workers) -> Any:
            self.args.dataloader_num_workers = workers
            loader = make(self)
            assert loader.num_workers == workers
            return loader

        monkeypatch.setattr(QloraTrainer, "get_train_dataloader", with_workers)
        train_qlora.run(p)
        found.append(outcome())
        shutil.rmtree(room / "runs/train")
    assert found[0] == found[1] == found[2]
