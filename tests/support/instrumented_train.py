"""The training stage, instrumented: records the sequences of each optimizer step, or fails in one process."""

import hashlib
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from copywriter import paths
from copywriter.training.trainer import QloraTrainer
from stages import train_qlora

RANK = os.environ.get("RANK", "0")
seen: dict[int, list[str]] = defaultdict(list)
training_step = QloraTrainer.training_step


def observed(self: QloraTrainer, model: Any, inputs: Any, *rest: Any) -> Any:
    """Records the sequences of a step and runs it."""
    if "SLOW" in os.environ:
        (paths.RUNS / f"in-step-{self.state.global_step}-{RANK}").touch()
        time.sleep(0.5)
    if os.environ.get("FAILING") == RANK and self.state.global_step == 2:
        raise ZeroDivisionError("raised by instrumented_train")
    for row in inputs["input_ids"]:
        if row.any():  # the tiny tokenizer pads with 0: what is all padding is no sequence
            seen[self.state.global_step].append(hashlib.sha256(row.numpy().tobytes()).hexdigest())
    return training_step(self, model, inputs, *rest)


if __name__ == "__main__":
    QloraTrainer.training_step = observed  # type: ignore[method-assign,assignment]
    train_qlora.main()
    (Path(paths.RUNS) / f"seen-{RANK}.json").write_text(json.dumps(seen))
