"""Settings of experiments for a host are checked before they are packed; params.yaml keeps its layout afterwards."""

import pytest
import yaml

from copywriter.errors import UserError
from tests.conftest import ROOT
from tools.gpu_run import home, packing


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a:epohcs=3"], "epohcs"),
        (["a:epochs=-1"], "epochs is -1"),
        (["a:epochs"], "is not KEY=VALUE"),
        (["a:lora=1"], "lora is 1"),
        (["a:lora.r.x=1"], "is not KEY=VALUE"),
        (["a:split.train=0.9"], "changes split.train, which a stage that runs here reads"),
        (["a:sample.size=9"], "changes sample.size"),
        (["a:max_length=256"], "changes max_length"),
        (["a:prompt.plain={message}"], "changes prompt.plain"),
        (["a", "a:epochs=1"], "does not name an experiment of its own"),
        (["a b"], "does not name an experiment of its own"),
    ],
)
def test_an_experiment_that_cannot_be_run_there_is_refused_here(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=said):
        packing.experiments(given)


def test_settings_are_parted_at_commas_before_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = packing.experiments(["a:lora.target_modules=[q_proj,v_proj],epochs=0", "b"])
    assert found == {"a": ["lora.target_modules=[q_proj,v_proj]", "epochs=0"], "b": []}


def test_the_layout_of_params_stays_where_dvc_writes_it_anew() -> None:
    before = (ROOT / "params.yaml").read_text()
    content = yaml.safe_load(before)
    content["epochs"], content["tracking"], content["prompt"]["questions"][1] = 0, [], "What?"
    after = home.relaid(before, yaml.safe_dump(content))
    assert yaml.safe_load(after) == content
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line.split()[0] for line in changed] == ["epochs:", "tracking:", "-"]
    assert "# 0 saves untrained" in changed[0]


def test_a_change_of_more_than_values_keeps_dvcs_text() -> None:
    assert home.relaid("a: 1\n", "a: 1\nb: 2\n") == "a: 1\nb: 2\n"
