"""The learning rate of each optimizer step, and which states a longer or shorter run can go on from."""

import math
from dataclasses import dataclass

from copywriter import params


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then the shape that params.yaml names, over `total` steps of which an epoch has `epoch_steps`.

    `wsd` (warm-up, stable, decay) and `constant` do not depend on the total before the decay begins, so runs of other
    lengths share their steps up to there. Source of wsd and of its 1-sqrt decay: Haegele et al. 2024, section 3.
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
        """Steps of the final decay: fewer than an epoch has, so every finished epoch has a state before it."""
        return int(self.settings.decay * self.epoch_steps) if self.settings.shape == "wsd" else 0

    @property
    def shared_steps(self) -> int:
        """How many steps, from the first, runs of other lengths have in common with this one."""
        return self.total - self.decay_steps if self.extends else 0

    def ends_an_epoch(self, step: int) -> bool:
        """Whether a run that ends with a finished epoch begins its decay after `step` steps."""
        return self.extends and step > 0 and (step + self.decay_steps) % self.epoch_steps == 0

    def factor(self, step: int) -> float:
        """What the learning rate of step `step`, counted from 0, is multiplied with."""
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
