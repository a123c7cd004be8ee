"""params.yaml: typed, frozen, and all mistakes in one sentence."""

from pathlib import Path

import pydantic
import pytest
import yaml

from copywriter import params
from copywriter.errors import UserError
from tests.conftest import ROOT, changed

COMMITTED = (ROOT / "params.yaml").read_text()


def test_committed_file_is_valid_and_frozen() -> None:
    p = params.load(ROOT / "params.yaml")
    assert p.max_response_length == 450
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        p.epochs = 5  # type: ignore[misc]


def test_a_rate_that_dvc_wrote_as_text_is_a_number(tmp_path: Path) -> None:
    # `dvc exp run -S learning_rate=1e-5` writes 1e-05, which YAML 1.1 reads as a string.
    file = tmp_path / "params.yaml"
    file.write_text(COMMITTED.replace("learning_rate: 0.001 ", "learning_rate: 1e-05 "))
    assert isinstance(yaml.safe_load(file.read_text())["learning_rate"], str)
    assert params.load(file).learning_rate == 1e-5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"epohcs": 3}, "epohcs is not a known key"),
        ({"split__train": 0.9}, "leave no test rows"),
        ({"split__train": 0}, "split.train is 0"),
        ({"max_prompt_length": 525}, "max_prompt_length 525 is not below max_length 525"),
        ({"micro_batch_size": 3}, "micro_batch_size 3 does not divide batch_size 8"),
        ({"quantization": "3bit"}, "quantization is '3bit'"),
        ({"precision": "bf61"}, "precision is 'bf61'"),
        ({"dataset": "My.Shop"}, "dataset is 'My.Shop'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"lora__target_modules": []}, "lora.target_modules"),
        ({"prompt__template": "{title}"}, "must contain {question} and {title}"),
        ({"prompt__template": "{question} {title}", "retrieval__neighbours": 1}, "must contain {neighbours} once"),
        ({"retrieval__template": "{title}"}, "must contain {title} and {description} once"),
        ({"retrieval__neighbours": 9}, "retrieval.neighbours"),
        ({"prompt__questions": []}, "prompt.questions"),
        ({"tracking": ["wandbb"]}, "tracking.0 is 'wandbb'"),
        ({"advanced__compile": "maybe"}, "advanced.compile"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        changed(**changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(UserError, match=r"epochs is -1.*lora\.r is 0"):
        changed(epochs=-1, lora__r=0)


def test_the_file_is_one_screen_of_at_most_35_keys() -> None:
    def leaves(value: object) -> int:
        return sum(map(leaves, value.values())) if isinstance(value, dict) else 1

    content = yaml.safe_load(COMMITTED)
    not_counted = ("advanced", "retrieval")
    assert sum(leaves(value) for key, value in content.items() if key not in not_counted) <= 35


def test_a_missing_key_is_named() -> None:
    content = yaml.safe_load(COMMITTED)
    del content["seed"]
    with pytest.raises(UserError, match="seed is missing"):
        params.check(params.Params, content, "params.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n- 2\n"])
def test_a_file_that_holds_no_params_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"params\.yaml"):
        params.load(tmp_path / "params.yaml")
