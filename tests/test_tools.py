"""What `make` types: the verdict on dvc.lock, and the outlook before a long run."""

import pytest

from tests.conftest import changed
from tools import demo, lock, outlook

DRY = """Stage 'fetch' didn't change, skipping
Running stage 'clean':
> python -m stages.clean

Running stage 'evaluate@base':
> python -m stages.evaluate base
"""


def test_a_data_stage_must_always_be_up_to_date() -> None:
    assert lock.verdict(DRY, []) == (["clean"], ["evaluate@base"])


def test_a_stage_that_was_locked_once_must_stay_up_to_date() -> None:
    assert lock.verdict(DRY, ["evaluate@base", "train_qlora"]) == (["clean", "evaluate@base"], [])


def test_nothing_is_stale_when_dvc_says_so() -> None:
    assert lock.verdict("Data and pipelines are up to date.\n", ["train_qlora"]) == ([], [])


def test_the_outlook_grows_with_the_work() -> None:
    hours = outlook.cpu_hours(changed())
    assert 10 < hours < 200
    assert outlook.cpu_hours(changed(epochs=6)) > hours
    assert outlook.cpu_hours(changed(epochs=0)) < hours / 2
    assert "make demo" in outlook.work()


def test_the_demo_changes_keys_that_exist_to_values_that_fit() -> None:
    settings = {key.replace(".", "__"): value for key, value in demo.SMALL.items()}
    p = changed(**settings)
    assert p.max_response_length >= p.decoding.max_new_tokens


@pytest.mark.parametrize("key", ["sample.size", "epochs"])
def test_the_demo_is_smaller_than_the_experiment(key: str) -> None:
    whole = changed().model_dump()
    value = whole["sample"]["size"] if key == "sample.size" else whole[key]
    assert demo.SMALL[key] < value
