"""The advice where the validation loss rose before the end of a training."""

import pytest

from copywriter.best_step import advice


def history(*losses: float, steps_an_epoch: int = 200) -> list[dict[str, float]]:
    """A measurement every 100 steps, and rows of the training loss between."""
    measured = [
        {"step": 100 * at, "epoch": 100 * at / steps_an_epoch, "eval_loss": loss} for at, loss in enumerate(losses)
    ]
    return [*measured, {"step": 50, "epoch": 0.25, "loss": 9.0}]


def test_a_rise_names_the_lowest_step_and_the_epochs_that_end_near_it() -> None:
    said = advice(history(3.4, 2.8, 2.5, 2.4, 2.3, 2.41, 2.52), epochs=3)
    assert "step 400 (epoch 2.00), 2.300, and rose to 2.520 by the end" in said
    assert "-S epochs=2 " in said


@pytest.mark.parametrize("losses", [(3.4, 2.8, 2.5), (3.4, 2.8, 2.5, 2.5), (3.4, 2.500, 2.504), (), (3.4,)])
def test_a_loss_that_fell_or_stayed_needs_no_advice(losses: tuple[float, ...]) -> None:
    assert advice(history(*losses), epochs=1) == ""


def test_the_number_of_epochs_is_named_only_where_it_is_smaller() -> None:
    said = advice(history(3.4, 2.8, 2.5, 2.6, steps_an_epoch=300), epochs=1)
    assert "epochs=" not in said
    assert "learning_rate" in said
    assert "-S epochs=1 " in advice(history(2.0, 2.1, 2.2, 2.3, 2.4), epochs=2)  # it rose from the start


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = history(3.4, 2.3, 2.5)
    assert advice(rows[::-1], epochs=3) == advice(rows, epochs=3) != ""
