"""The training stage up to its first optimizer step, with where the seconds go: what benchmarks.start has DVC run.

`python -m benchmarks.startup_trace BEGUN RESULT`: when the command was given (seconds since 1970), and a JSON file.
"""

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STARTED = time.time()  # none of these takes long
ENDED = 3  # the exit code after the first step

_LIBRARIES = (
    *("torch", "transformers.modeling_utils", "datasets", "accelerate", "bitsandbytes", "peft"),
    *("transformers.trainer", "trl.trainer.sft_trainer"),
)
# What is timed, by the name it gets: a module's function, or a class's method. Time within another mark is that one's.
_MARKED = {
    "CUDA's context": ["torch.cuda:_lazy_init"],
    "hashes of rows, weights and code": ["copywriter.files:sha256"],
    "tokenizer": ["copywriter.training.experiment:load_tokenizer"],
    "rows into tokens": ["copywriter.training.tokenized_rows:examples"],
    "packing": ["copywriter.training.experiment:sequences"],
    "row validation": ["copywriter.training.row_validation:check_lengths", "copywriter.training.row_validation:check"],
    "expected memory": ["copywriter.training.memory_fit:fit"],
    "base weights, quantized": ["copywriter.modeling.loading:load_base"],
    "dequantizing": ["copywriter.modeling.loading:dequantized"],
    "adapter": ["copywriter.modeling.lora:with_adapter", "copywriter.modeling.lora:FlatAdapter.__init__"],
    "trainer": ["copywriter.training.trainer:QloraTrainer.__init__"],
    "trackers": ["copywriter.training.tracking:trackers"],
    "probe: rows of a batch stay apart": ["copywriter.training.row_validation:check_batches"],
    "capturing graphs": ["copywriter.modeling.cuda_graph:Replay.__init__"],
    "validation before training": ["copywriter.training.trainer:QloraTrainer.evaluate"],
    "the first batch's gradients": ["copywriter.training.trainer:QloraTrainer.training_step"],
}


class Marks:
    """Adds up seconds of the main thread by name; a mark within another stops the outer one's clock."""

    def __init__(self) -> None:
        """Starts with the process."""
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = _STARTED

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Counts the block under `name`."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        """From now on time is counted under `name`."""
        self.leave_off()
        self._open.append(name)

    def leave(self) -> None:
        """From now on time is counted as before the last `enter`."""
        self.leave_off()
        self._open.pop()

    def leave_off(self) -> None:
        """Counts the time so far under what is open."""
        now = time.time()
        name = self._open[-1] if self._open else "everything else"
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def watch(self, place: str, name: str) -> None:
        """Counts calls of a function of `_MARKED` under `name`."""
        owner, last = named(place)
        setattr(owner, last, self._marked(getattr(owner, last), name))

    def _marked(self, inner: Callable[..., Any], name: str) -> Callable[..., Any]:
        def marked(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return inner(*given, **named)
            with self.within(name):
                return inner(*given, **named)

        return marked


def named(place: str) -> tuple[Any, str]:
    """The module or class that "module:function" or "module:Class.method" stands in, and its name there."""
    module, _, path = place.partition(":")
    *outer, last = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    return owner, last


def main() -> None:
    """Runs the stage; after its first step the seconds are written and the process ends."""
    begun, result = float(sys.argv[1]), Path(sys.argv[2])
    del sys.argv[1:]
    marks = Marks()
    marks.seconds["DVC and Python's start"] = _STARTED - begun
    for library in _LIBRARIES:
        with marks.within(f"import {library}"):
            importlib.import_module(library)
    with marks.within("import the rest"):
        stage = importlib.import_module("stages.train_qlora")
    for name, places in _MARKED.items():
        for place in places:
            marks.watch(place, name)
    _watch_compilers(marks)
    tracking: Any = importlib.import_module("copywriter.training.tracking")
    first_step = tracking.Speed.on_step_end

    def ended(*given: Any, **named: Any) -> None:
        first_step(*given, **named)  # waits for the device
        marks.leave_off()
        result.write_text(json.dumps(marks.seconds))
        raise SystemExit(ENDED)

    tracking.Speed.on_step_end = ended
    stage.main()


def _watch_compilers(marks: Marks) -> None:
    from torch._dynamo.callback import callback_handler

    callback_handler.register_start_callback(lambda _: marks.enter("compiling"))
    callback_handler.register_end_callback(lambda _: marks.leave())


if __name__ == "__main__":
    main()
