"""The learning rate of each optimizer step, and which checkpoints a longer or shorter run can resume from.

The formulas are not those of transformers' schedules (get_wsd_schedule and its family), tried with 5.23: those start
with a step at rate 0; `linear` differs from ours in the last bit of two steps in five; a warm-up that reaches into the
decay is cut off there, so that the rate jumps; and resuming needs the factor of a step without an optimizer. Shifted by
one step the others are equal to ours in every bit (tests/checkpoints/test_schedule.py).
"""

import math
from dataclasses import dataclass

from copywriter import params


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then the shape that params.yaml names, over `total` steps of which an epoch has `epoch_steps`.

    `wsd` (warm-up, stable, decay) and `constant` do not depend on the total before the decay begins, so runs of
    different lengths share their steps until then. Source of wsd and its 1-sqrt decay: Haegele et al. 2024, section 3.
    """

    settings: params.Schedule
    epoch_steps: int
    total: int
    decay_shape: str  # 1-sqrt or linear

    @property
    def extends(self) -> bool:
        """Whether a run of another length shares steps with this one."""
        return self.settings.shape in ("wsd", "constant")

    @property
    def decay_steps(self) -> int:
        """Steps of the final decay: fewer than an epoch has, so every epoch ends with a checkpoint before a decay."""
        return int(self.settings.decay * self.epoch_steps) if self.settings.shape == "wsd" else 0

    @property
    def shared_steps(self) -> int:
        """The number of first steps that runs of other lengths have in common with this one."""
        return self.total - self.decay_steps if self.extends else 0

    def ends_an_epoch(self, step: int) -> bool:
        """Whether a run that ends with a finished epoch begins its decay after `step` steps."""
        return self.extends and step > 0 and (step + self.decay_steps) % self.epoch_steps == 0

    def factor(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0, as a share of the highest."""
        warmup = self.settings.warmup_steps
        warming = min(1.0, (step + 1) / (warmup + 1))
        if self.settings.shape == "constant":
            return warming
        if self.settings.shape == "wsd":
            decayed = step + 1 - (self.total - self.decay_steps)
            return warming * (self._falling(decayed / (self.decay_steps + 1)) if decayed > 0 else 1.0)
        done = min(1.0, max(0.0, step - warmup) / max(1, self.total - warmup))
        return warming * (1 - done if self.settings.shape == "linear" else (1 + math.cos(math.pi * done)) / 2)

    def _falling(self, done: float) -> float:
        return 1 - done if self.decay_shape == "linear" else 1 - math.sqrt(done)
