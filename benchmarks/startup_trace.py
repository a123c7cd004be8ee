"""The training stage up to its first optimizer step, timed part by part; benchmarks.start runs it through DVC.

`python -m benchmarks.startup_trace BEGUN RESULT`: the start of the command (seconds since 1970), and a JSON file.
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

_STARTED = time.time()  # the imports above take little time
ENDED = 3  # the exit code after the first step

_LIBRARIES = (
    *("torch", "transformers.modeling_utils", "datasets", "accelerate", "bitsandbytes", "peft"),
    *("transformers.trainer", "trl.trainer.sft_trainer"),
)
# Timed functions and methods by the name of their part. Time in a nested part counts for the nested part alone.
_TRACED = {
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
    "check that packed rows stay separate": ["copywriter.training.row_validation:check_batches"],
    "capturing graphs": ["copywriter.modeling.cuda_graph:Replay.__init__"],
    "validation before training": ["copywriter.training.trainer:QloraTrainer.evaluate"],
    "the first batch's gradients": ["copywriter.training.trainer:QloraTrainer.training_step"],
}


class Spans:
    """Sums seconds of the main thread by part; a nested part stops the outer part's clock."""

    def __init__(self) -> None:
        """Counts from the start of the process."""
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
        """Opens a part: time is counted under `name` from now on."""
        self.count()
        self._open.append(name)

    def leave(self) -> None:
        """Closes the innermost part."""
        self.count()
        self._open.pop()

    def count(self) -> None:
        """Adds the time since the last call to the innermost open part."""
        now = time.time()
        name = self._open[-1] if self._open else "everything else"
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def watch(self, place: str, name: str) -> None:
        """Counts calls of a function of `_TRACED` under `name`."""
        owner, last = resolve(place)
        setattr(owner, last, self._traced(getattr(owner, last), name))

    def _traced(self, inner: Callable[..., Any], name: str) -> Callable[..., Any]:
        def traced(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return inner(*given, **named)
            with self.within(name):
                return inner(*given, **named)

        return traced


def resolve(place: str) -> tuple[Any, str]:
    """The module or class that holds "module:function" or "module:Class.method", and the attribute's name."""
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
    spans = Spans()
    spans.seconds["DVC and Python's start"] = _STARTED - begun
    for library in _LIBRARIES:
        with spans.within(f"import {library}"):
            importlib.import_module(library)
    with spans.within("import the rest"):
        stage = importlib.import_module("stages.train_qlora")
    for name, places in _TRACED.items():
        for place in places:
            spans.watch(place, name)
    _watch_compilers(spans)
    tracking: Any = importlib.import_module("copywriter.training.tracking")
    first_step = tracking.Speed.on_step_end

    def ended(*given: Any, **named: Any) -> None:
        first_step(*given, **named)  # waits for the device
        spans.count()
        result.write_text(json.dumps(spans.seconds))
        raise SystemExit(ENDED)

    tracking.Speed.on_step_end = ended
    stage.main()


def _watch_compilers(spans: Spans) -> None:
    from torch._dynamo.callback import callback_handler

    callback_handler.register_start_callback(lambda _: spans.enter("compiling"))
    callback_handler.register_end_callback(lambda _: spans.leave())


if __name__ == "__main__":
    main()
