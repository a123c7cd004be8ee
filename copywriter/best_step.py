"""The step at which a training's validation loss was lowest, and the number of epochs that ends near it.

Without torch: training says it at its end, and the report shows it.
"""

from collections.abc import Mapping, Sequence


def advice(history: Sequence[Mapping[str, float]], epochs: int) -> str:
    """A sentence where the validation loss ended above its lowest value, else nothing.

    `history`: rows of which some have `step`, `epoch` and `eval_loss` (nats a token), in any order; `epochs`: of the
    whole training. A rise of less than 0.2% is not worth another run.
    """
    measured = sorted((row for row in history if "eval_loss" in row), key=lambda row: row["step"])
    lowest = min(measured, key=lambda row: row["eval_loss"], default={"eval_loss": 0.0, "epoch": 0, "step": 0})
    loss, epoch, last = lowest["eval_loss"], lowest["epoch"], measured[-1:] or [lowest]
    fewer = max(1, round(epoch))
    cure = f"-S epochs={fewer} ends near that step" if fewer < epochs else "a lower learning_rate may help"
    rise = (
        f"the validation loss was lowest at step {lowest['step']:,.0f} (epoch {epoch:.2f}), {loss:.3f}, and rose to "
        f"{last[0]['eval_loss']:.3f} by the end: {cure}"
    )
    return rise if last[0]["eval_loss"] > loss * 1.002 else ""
