"""Greedy generation equals transformers; a stream equals a batch; an untrained adapter equals its base."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM

from copywriter import ask, files, paths, records
from copywriter.errors import UserError
from copywriter.evaluation import predictions
from copywriter.generation import generate
from copywriter.generation.sampling import Sampler
from copywriter.modeling import loading
from copywriter.prompt import load_tokenizer
from stages import evaluate, train_qlora
from tests.conftest import changed
from tests.support.shapes import figures

CPU = torch.device("cpu")
PLAIN = changed().decoding.model_copy(update={"repetition_penalty": 1.0, "no_repeat_ngram_size": 0})
PROMPTS = [[1, 50, 60, 70], [1, 90], [1, 20, 30, 40, 50, 60, 70, 80], [1, 33, 44]]


@pytest.fixture(scope="module")
def dense(tiny_base: Path) -> Any:
    return loading.load_dense(tiny_base, "none", torch.float32, CPU)


def plain(dense: Any, prompt: list[int], end: int, **settings: Any) -> list[int]:
    """The token ids of transformers' own generate for one prompt."""
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        out = dense.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, eos_token_id=end, pad_token_id=end, **settings
        )
    found: list[int] = out[0, len(prompt) :].tolist()
    return found


def greedy(dense: Any, prompts: list[list[int]], end: int, decoding: Any, **settings: Any) -> list[list[int]]:
    """The token ids of our generate, in prompt order."""
    written = dict(generate.decode(dense, prompts, end, decoding, **settings))
    return [written[row] for row in range(len(prompts))]


def test_a_batch_equals_transformers_on_each_prompt_alone(dense: Any) -> None:
    decoding = PLAIN.model_copy(update={"max_new_tokens": 30, "batch_size": 4})
    # An end token that some of the rows write early and others never, so that rows leave the batch at different steps.
    free = [plain(dense, prompt, 0, max_new_tokens=30) for prompt in PROMPTS]
    end = next(t for t in free[0] if any(t not in ids for ids in free[1:]))
    alone = [plain(dense, prompt, end, max_new_tokens=30) for prompt in PROMPTS]
    assert len({len(ids) for ids in alone}) > 1
    assert greedy(dense, PROMPTS, end, decoding) == alone


@pytest.mark.parametrize("settings", [{"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 2}])
def test_a_penalty_counts_generated_tokens_only(dense: Any, settings: dict[str, Any]) -> None:
    decoding = PLAIN.model_copy(update={"max_new_tokens": 30, "batch_size": 4})
    free = greedy(dense, PROMPTS, 0, decoding)
    penalised = greedy(dense, PROMPTS, 0, decoding.model_copy(update=settings))
    assert penalised == [greedy(dense, [prompt], 0, decoding.model_copy(update=settings))[0] for prompt in PROMPTS]
    assert [ids[0] for ids in penalised] == [ids[0] for ids in free]  # nothing is written yet, nothing is penalised
    assert penalised != free
    if "no_repeat_ngram_size" in settings:
        for prompt, ids in zip(PROMPTS, penalised, strict=True):
            pairs = [pair for pair in itertools.pairwise(ids) if pair not in set(itertools.pairwise(prompt))]
            assert len(pairs) == len(set(pairs))


def test_each_text_has_its_prompts_index_and_whether_it_stopped(dense: Any, tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    decoding = PLAIN.model_copy(update={"max_new_tokens": 12, "batch_size": 2})
    together = dict(generate.texts(dense, tokenizer, PROMPTS, decoding))
    alone = [next(generate.texts(dense, tokenizer, [prompt], decoding)) for prompt in PROMPTS]
    assert [together[row] for row in range(len(PROMPTS))] == [one for _, one in alone]
    assert all(one.stopped == (one.tokens < 12) or one.tokens == 12 for one in together.values())


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_reused_rows_of_a_batch_equal_each_prompt_alone(dense: Any, batch_size: int) -> None:
    prompts = [[1, *range(10 + row, 12 + row + row % 7)] for row in range(40)]
    most = [1 + row * 5 % 17 for row in range(40)]
    decoding = PLAIN.model_copy(update={"max_new_tokens": 20, "batch_size": batch_size})
    free = [plain(dense, prompt, 0, max_new_tokens=20) for prompt in prompts]
    end = free[0][4]
    alone = [ids[: ids.index(end) + 1] if end in ids else ids for ids in free]
    written = greedy(dense, prompts, end, decoding, most=most)
    assert written == [ids[:cap] for ids, cap in zip(alone, most, strict=True)]
    assert len({len(ids) for ids in written}) > 5


def test_afterwards_the_model_is_as_it_was(dense: Any) -> None:
    before = (dense.config._attn_implementation, set(dense.state_dict()))
    next(generate.decode(dense, PROMPTS, 0, changed().decoding))
    assert (dense.config._attn_implementation, set(dense.state_dict())) == before
    assert not any(hasattr(module, "cached_keys") for module in dense.modules())


def test_a_sliding_window_limits_prompt_and_text() -> None:
    config = AutoConfig.for_model(**figures("gemma-3-1b", tiny=True) | {"sliding_window": 6})
    torch.manual_seed(0)
    windowed: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    windowed.eval()
    prompts = [[1, *range(10, 14)], [1, *range(20, 32)], [1, 40]]
    decoding = PLAIN.model_copy(update={"max_new_tokens": 20})
    expected = [plain(windowed, prompt, 0, max_new_tokens=20) for prompt in prompts]
    assert greedy(windowed, prompts, 0, decoding) == expected
    wide: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    wide.eval()
    wide.load_state_dict(windowed.state_dict())
    for module in wide.modules():
        if getattr(module, "sliding_window", None):
            module.sliding_window = None
    assert greedy(wide, prompts, 0, decoding) != expected  # the window matters here


SMALL = {"max_length": 96, "max_prompt_length": 64, "decoding__max_new_tokens": 16, "schedule__warmup_steps": 2}


def prepare(room: Path, **changes: Any) -> Any:
    p = changed(**{**SMALL, **changes})
    (room / "params.yaml").write_text(yaml.safe_dump(p.model_dump()))
    rows = [records.Product(f"Bucket {n}", f"It holds {n} litres.") for n in range(30)]
    for path in (paths.TRAIN, paths.VALIDATION, paths.TEST):
        records.write_products(path, rows[:12])
    return p


@pytest.mark.parametrize("quantization", ["4bit", "8bit", "none"])
def test_an_untrained_adapter_generates_the_bases_texts(room: Path, quantization: str) -> None:
    p = prepare(room, epochs=0, quantization=quantization)
    train_qlora.run(p)
    for variant in ("base", "tuned"):
        evaluate.run(variant, p)
    assert paths.predictions("base").read_bytes() == paths.predictions("tuned").read_bytes()
    assert paths.scores("base").read_bytes() == paths.scores("tuned").read_bytes()


def test_a_trained_adapter_is_merged_in_full_precision(room: Path) -> None:
    p = prepare(room, epochs=3, learning_rate=0.01)
    train_qlora.run(p)
    merged = loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU)
    from peft import PeftModel

    base = loading.load_base(paths.BASE, "4bit", torch.float32, CPU)
    unmerged = PeftModel.from_pretrained(base, str(paths.ADAPTER)).eval()
    ids = torch.tensor([PROMPTS[2]])
    with torch.inference_mode():
        torch.testing.assert_close(merged(ids).logits, unmerged(ids).logits, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(
            merged(ids).logits, loading.load_dense(paths.BASE, "4bit", torch.float32, CPU)(ids).logits
        )


def test_an_adapter_of_another_base_is_refused_with_the_cure(room: Path) -> None:
    train_qlora.run(prepare(room, epochs=0))
    pin = json.loads((paths.BASE / "pin.json").read_text())
    files.write_json(paths.BASE / "pin.json", {**pin, "model": "other", "files": {"model.safetensors": "0" * 64}})
    with pytest.raises(UserError, match=r"trained on tiny, but models/base holds other.*dvc repro fetch_model"):
        loading.load_dense(paths.ADAPTER, "4bit", torch.float32, CPU)


def test_missing_weights_name_the_command(room: Path) -> None:
    with pytest.raises(UserError, match=r"models/adapter/tokenizer\.json is missing; run 'dvc pull models/adapter'"):
        load_tokenizer(paths.ADAPTER)
    shutil.rmtree(paths.BASE)
    with pytest.raises(UserError, match="run 'dvc repro fetch_model'"):
        loading.load_dense(paths.BASE, "none", torch.float32, CPU)


def test_ask_and_evaluate_give_equal_texts(room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    p = prepare(room, epochs=0)
    train_qlora.run(p)
    evaluate.run("tuned", p)
    expected = predictions.read(paths.predictions("tuned"))[3]
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["ask", "--json", f"  {expected.title} "])
    with pytest.raises(SystemExit, match="0"):
        ask.main()
    assert json.loads(capsys.readouterr().out)["written"] == expected.written


@pytest.mark.parametrize("title", ["", "  ", "!!!"])
def test_ask_refuses_an_empty_title(
    room: Path, title: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    prepare(room)
    monkeypatch.setattr("sys.argv", ["ask", "--weights", "models/base", title])
    with pytest.raises(SystemExit, match="1"):
        ask.main()
    assert "has no letter or digit" in capsys.readouterr().err


def test_a_stream_joins_to_what_texts_writes(tiny_base: Path) -> None:
    dense = loading.load_dense(tiny_base, "none", torch.float32, CPU)
    tokenizer = load_tokenizer(tiny_base)
    decoding = changed(decoding__max_new_tokens=40, decoding__repetition_penalty=1.5).decoding
    sampler = Sampler(decoding, int(tokenizer.eos_token_id), len(tokenizer))
    for prompt in ([1, 50, 60, 70], [1, 90], list(range(2, 60))):
        pieces = list(generate.stream(dense, tokenizer, prompt, decoding, sampler))
        alone = dict(generate.texts(dense, tokenizer, [prompt], decoding))[0]
        assert "".join(piece for piece, _ in pieces) == alone.text
        assert pieces[-1][1] == alone
        assert len(pieces) > 2
