"""The stage evaluate: texts and likelihoods are cached, resume after a kill, and are scored without the model."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from copywriter import files, paths, records
from copywriter.errors import UserError
from copywriter.evaluation import likelihood, predict, predictions, scores
from copywriter.generation import generate, generation_cache
from copywriter.modeling import loading
from copywriter.prompt import Example, Prompter, load_tokenizer
from stages import evaluate, train_qlora
from tests.conftest import ROOT, changed
from tests.generation.test_generate import prepare
from tests.test_structure import own_files

CPU = torch.device("cpu")
ROWS = [
    Example([5, 6, 7, 8, 9, 0], 3, False),
    Example([5, 6, 7, 300, 0], 4, False),
    Example([1, 2, 0], 2, False),
    Example([*range(10, 60), 0], 20, True),
]


@pytest.fixture(scope="module")
def dense(tiny_base: Path) -> Any:
    return loading.load_dense(tiny_base, "none", torch.float32, CPU)


def alone(dense: Any, row: Example) -> float:
    """The same by one full pass over one row, as a textbook has it."""
    ids = torch.tensor([row.input_ids])
    with torch.inference_mode():
        logits = dense(ids).logits[0, row.prompt_length - 1 : -1]
    return float(cross_entropy(logits, ids[0, row.prompt_length :], reduction="sum"))


@pytest.mark.parametrize("room", [{"cpu": 1}, {"cpu": 130}, {"cpu": 10**6}])
def test_nll_of_a_batch_is_that_of_each_row_alone(dense: Any, room: dict[str, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(likelihood, "_POSITIONS", room)
    found = dict(likelihood.nll(dense, ROWS))
    assert sorted(found) == list(range(len(ROWS)))
    for number, row in enumerate(ROWS):
        assert found[number] == pytest.approx(alone(dense, row), abs=2e-3)


def test_nll_of_some_rows_equals_that_of_all_rows_bit_for_bit(dense: Any) -> None:
    everything = dict(likelihood.nll(dense, ROWS))
    assert dict(likelihood.nll(dense, ROWS, [3, 0])) == {row: everything[row] for row in (3, 0)}


def test_batches_contain_every_row_once_within_the_limits(monkeypatch: Any) -> None:
    monkeypatch.setattr(likelihood, "_POSITIONS", {"cpu": 60})
    monkeypatch.setattr(likelihood, "_LOGITS", {"cpu": 40})
    rows = [Example([1] * (2 + n % 17), 1 + n % 2, False) for n in range(100)]
    found = list(likelihood.batches(rows, 5, "cpu"))
    assert sorted(row for batch in found for row in batch) == list(range(100))
    for batch in found:
        longest = max(len(rows[row].input_ids) for row in batch)
        completion = max(len(rows[row].input_ids) - rows[row].prompt_length for row in batch)
        assert len(batch) == 1 or (len(batch) * longest <= 60 and len(batch) * completion * 5 <= 40)
    assert any(len(batch) > 1 for batch in found)


@pytest.fixture
def asked(room: Path) -> list[list[int]]:
    """The rows that `make` was asked for, call by call."""
    return []


def maker(asked: list[list[int]], stop_after: int = 99) -> Callable[[Sequence[int]], Iterator[tuple[int, Any]]]:
    def make(missing: Sequence[int]) -> Iterator[tuple[int, dict[str, str]]]:
        asked.append(list(missing))
        for count, row in enumerate(reversed(missing)):
            if count == stop_after:
                raise KeyboardInterrupt
            yield row, {"text": f"text {row}\u2028 é"}

    return make


EXPECTED = [{"text": f"text {row}\u2028 é"} for row in range(5)]


def test_rows_finished_before_a_kill_are_reused(asked: list[list[int]]) -> None:
    with pytest.raises(KeyboardInterrupt):
        generation_cache.cached_rows("predictions", "a", 5, maker(asked, stop_after=2))
    assert generation_cache.cached_rows("predictions", "a", 5, maker(asked)) == EXPECTED
    assert generation_cache.cached_rows("predictions", "a", 5, maker(asked)) == EXPECTED
    assert asked == [[0, 1, 2, 3, 4], [0, 1, 2]]
    assert generation_cache.cached_rows("predictions", "b", 5, maker(asked)) == EXPECTED  # made by something else
    assert asked[2:] == [[0, 1, 2, 3, 4]]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], list[int]]] = {
    "torn": (lambda content: content[:-4], [0]),
    "torn within a letter": (lambda content: content[: content.rindex(b"\xc3") + 1], [0]),
    "zeros at the end": (lambda content: content[:-6] + b"\0" * 6, [0]),
    "no object": (lambda content: content + b"[1]\n7\nnull\n", []),
    "a row that is not asked for": (lambda content: content + b'{"row": 5, "text": ""}\n{"row": "x"}\n', []),
    "written twice": (lambda content: content + content, []),
    "empty": (lambda _: b"", [0, 1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_costs_only_the_rows_that_are_damaged(name: str, asked: list[list[int]]) -> None:
    generation_cache.cached_rows("predictions", "a", 5, maker(asked))
    (file,) = (paths.RUNS / "predictions").iterdir()
    damage, missing = DAMAGE[name]
    file.write_bytes(damage(file.read_bytes()))
    assert generation_cache.cached_rows("predictions", "a", 5, maker(asked)) == EXPECTED
    assert asked[1:] == ([missing] if missing else [])


def test_only_the_last_used_files_remain(asked: list[list[int]]) -> None:
    for number in range(generation_cache._MAX_FILES + 3):
        generation_cache.cached_rows("predictions", number, 1, maker(asked))
    assert len(list((paths.RUNS / "predictions").iterdir())) == generation_cache._MAX_FILES


def outputs(variant: str) -> list[bytes]:
    outputs = (paths.predictions(variant), paths.statistics(variant), paths.scores(variant))
    return [file.read_bytes() for file in outputs]


def test_an_empty_test_set_is_refused_before_a_model_is_loaded(room: Path, monkeypatch: Any) -> None:
    p = prepare(room)
    records.write_products(paths.TEST, [])
    monkeypatch.setattr(loading, "load_dense", lambda *_: pytest.fail("the model was loaded"))
    with pytest.raises(UserError, match=r"the test set is empty: raise sample\.size"):
        evaluate.run("base", p)
    assert not paths.scores("base").exists()
    assert not paths.predictions("base").exists()


def test_a_model_with_nan_logits_leaves_no_scores(room: Path, monkeypatch: Any) -> None:
    p = prepare(room)
    load = loading.load_dense

    def broken(*given: Any) -> Any:
        dense: Any = load(*given)
        dense.model.norm.weight.data.fill_(float("nan"))
        return dense

    monkeypatch.setattr(loading, "load_dense", broken)
    with pytest.raises(UserError, match="logits are not numbers"):
        evaluate.run("base", p)
    assert not paths.scores("base").exists()
    monkeypatch.setattr(loading, "load_dense", load)
    evaluate.run("base", p)  # nothing of the broken model was cached
    assert all(row.tokens for row in predictions.read(paths.predictions("base")))


def test_scoring_again_needs_no_model(room: Path, monkeypatch: Any) -> None:
    p = prepare(room)
    evaluate.run("base", p)
    first = outputs("base")
    monkeypatch.setattr(loading, "load_dense", lambda *_: pytest.fail("the model was loaded"))
    evaluate.run("base", p)
    assert outputs("base") == first


def test_a_killed_evaluation_resumes_to_the_same_files(room: Path, monkeypatch: Any) -> None:
    p = prepare(room, decoding__batch_size=4)
    evaluate.run("base", p)
    whole = outputs("base")
    (file,) = (paths.RUNS / "predictions").iterdir()
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:6]) + b'{"row": 3, "te')
    asked: list[int] = []
    write = generate.texts

    def counted(dense: Any, tokenizer: Any, prompts: Any, *settings: Any, **named: Any) -> Any:
        asked.append(len(prompts))
        return write(dense, tokenizer, prompts, *settings, **named)

    monkeypatch.setattr(generate, "texts", counted)
    evaluate.run("base", p)
    assert asked == [7]  # the file began with an empty line, and held five of twelve rows
    assert outputs("base") == whole


CHANGES: dict[str, Callable[[Any], Any]] = {
    "decoding": lambda p: p.model_copy(update={"decoding": p.decoding.model_copy(update={"max_new_tokens": 15})}),
    "numbers": lambda p: p.model_copy(update={"advanced": p.advanced.model_copy(update={"constrain_numbers": False})}),
    "quantization": lambda p: p.model_copy(update={"quantization": "none"}),
    "questions": lambda p: p.model_copy(update={"prompt": p.prompt.model_copy(update={"questions": ["Why?"]})}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_param_of_generation_reuses_no_text(room: Path, name: str) -> None:
    p = prepare(room)
    evaluate.run("base", p)
    evaluate.run("base", CHANGES[name](p))
    assert len(list((paths.RUNS / "predictions").iterdir())) == 2


def test_the_cache_key_covers_all_code_of_generation() -> None:
    # Left out: what the values of others go through (params, prompts and weights are in the name themselves).
    plumbing = {
        f"copywriter/{name}.py" for name in ("__init__", "errors", "files", "lora_options", "params", "paths", "stage")
    }
    plumbing |= {"copywriter/generation/logits.py", "copywriter/modeling/device.py"}
    named = {str(Path(str(module.__file__)).relative_to(ROOT)) for module in predict.WRITING}
    assert named == (own_files(ROOT / "copywriter/generation/generate.py") - plumbing) | {
        "copywriter/generation/generate.py",
        "copywriter/modeling/loading.py",
        "copywriter/modeling/lora_merge.py",
        "copywriter/modeling/nf4_values.py",
    }


def test_another_adapter_reuses_no_text(room: Path) -> None:
    p = prepare(room, epochs=1, learning_rate=0.01)
    train_qlora.run(p)
    before = predict.identity(paths.ADAPTER)
    weights = paths.ADAPTER / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert predict.identity(paths.ADAPTER) != before
    files.write_json(paths.ADAPTER / "README.json", {})  # no part of the weights
    assert predict.identity(paths.BASE) != before


def test_an_untrained_adapter_takes_the_texts_and_likelihoods_of_its_base(room: Path, monkeypatch: Any) -> None:
    p = prepare(room, epochs=0)
    train_qlora.run(p)
    evaluate.run("base", p)
    monkeypatch.setattr(loading, "load_dense", None)
    evaluate.run("tuned", p)
    assert paths.predictions("tuned").read_bytes() == paths.predictions("base").read_bytes()


def test_metrics_are_flat_numbers_and_lists_of_settings(room: Path) -> None:
    p = prepare(room)
    evaluate.run("base", p)
    found = json.loads(paths.scores("base").read_text())
    numbers = {name for name, value in found.items() if isinstance(value, int | float)}
    assert numbers == {*scores.NAMES, "rows"}
    assert {name for name in found if name not in numbers} == {"signatures", "decoding", "scored"}
    assert found["scored"] == ["the values of the 4bit weights, an adapter merged in float32, computed in float32"]
    assert "max_new_tokens:16" in found["decoding"]
    rows = predictions.read(paths.predictions("base"))
    total = sum(row.reference_nll or math.nan for row in rows) / sum(row.reference_tokens or 0 for row in rows)
    assert found["nll"] == pytest.approx(total, abs=1e-4)


def test_the_reference_is_truncated_as_in_training(room: Path, tiny_base: Path) -> None:
    p = changed(max_length=80, max_prompt_length=64)
    example = Prompter(load_tokenizer(tiny_base), p).examples(["Bucket"], ["It holds ten litres. " * 20])[0]
    dense = loading.load_dense(tiny_base, "none", torch.float32, CPU)
    assert dict(likelihood.nll(dense, [example]))[0] == pytest.approx(alone(dense, example), abs=2e-3)
    assert len(example.input_ids) - example.prompt_length <= 16
