"""A receipt that can be checked: equal where nothing changed, and what differs where something did."""

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from copywriter import files, paths, records, verify
from copywriter.checkpoints import fingerprint
from copywriter.errors import UserError
from copywriter.modeling import loading
from copywriter.training import receipt
from stages import train_qlora
from tests.conftest import room_in, stand_in
from tests.support.training import prepare


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Path]:
    """A working folder after a run of the stage."""
    with pytest.MonkeyPatch.context() as patch:
        room = room_in(tmp_path_factory.mktemp("trained"), tiny_base, patch)
        train_qlora.run(prepare(room, lora__dropout=0.1, advanced__log_steps=2))
        yield room


@pytest.fixture
def copy(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of a test's own."""
    room = tmp_path / "room"
    shutil.copytree(trained, room)
    return stand_in(room, monkeypatch)


def verdicts(steps: int = 1) -> dict[str, str]:
    return {one.check.split(" ")[0]: one.verdict for one in verify.findings(paths.ADAPTER, steps)}


def tell(change: dict[str, Any]) -> None:
    """Changes the receipt, hash and all."""
    told = json.loads((paths.ADAPTER / loading.RECEIPT).read_text()) | change
    receipt.write(paths.ADAPTER, {key: value for key, value in told.items() if key not in ("files", "sha256")})


def test_an_adapter_as_it_was_trained_is_equal_from_its_state_and_from_nothing(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files.folder_hashes(copy)
    monkeypatch.setattr("sys.argv", ["verify", "models/adapter"])
    verify.main()
    told = capsys.readouterr().out
    assert told.count(": equal") == 5
    assert "checkpoint-" in told
    assert "losses and weights" in told  # up to a state that was kept
    changed = {name for name, one in files.folder_hashes(copy).items() if before.get(name) != one}
    assert changed <= {"runs/timings.json"}  # it writes nothing else
    shutil.rmtree(copy / "runs/train")
    assert set(verdicts().values()) == {"equal"}
    assert set(verdicts(steps=100).values()) == {"equal"}  # at most the whole run


def test_any_changed_byte_is_found(copy: Path) -> None:
    for file in sorted(paths.ADAPTER.iterdir()):
        content = file.read_bytes()
        for at in (0, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(UserError) if file.name == loading.RECEIPT else nullcontext():
                found = next(verify.findings(paths.ADAPTER, 1))
                assert found.verdict == "different"
                assert file.name in found.why
        file.write_bytes(content)
    (paths.ADAPTER / "more.json").write_text("{}")
    (paths.ADAPTER / "tokenizer.json").unlink()
    why = next(verify.findings(paths.ADAPTER, 1)).why
    assert why == "tokenizer.json is missing; more.json is not in the receipt"


def test_foreign_weights_are_found_although_the_hashes_agree(copy: Path) -> None:
    file = paths.ADAPTER / "adapter_model.safetensors"
    save_file({name: 1.5 * one for name, one in load_file(file).items()}, file, metadata={"format": "pt"})
    tell({})
    assert verdicts() == {
        "files": "equal",
        "histories": "equal",
        "code": "equal",
        "replay": "equal",
        "validation": "different",
    }


@pytest.mark.parametrize(("factor", "verdict"), [(1 + 1e-6, "equal within rounding"), (1.2, "different")])
def test_losses_that_other_hardware_rounds_are_told_from_those_of_another_run(
    copy: Path, factor: float, verdict: str
) -> None:
    told = json.loads((paths.ADAPTER / loading.RECEIPT).read_text())
    tell({"losses": {step: loss * factor for step, loss in told["losses"].items()}})
    found = verdicts()
    assert found["histories"] == "different"
    assert found["replay"] == "different"  # the state was written here, where nothing rounds otherwise
    shutil.rmtree(copy / "runs/train")
    assert verdicts()["replay"] == verdict


def test_other_data_or_none_is_said(copy: Path) -> None:
    records.write_products(paths.TRAIN, records.read_products(paths.TRAIN)[:-1])
    assert verdicts() == {"files": "equal", "histories": "equal", "replay": "different"}
    paths.TRAIN.unlink()
    *_, last = verify.findings(paths.ADAPTER, 1)
    assert (last.verdict, last.why) == ("not done", "data/train.parquet is missing; run 'dvc repro split'")
    neighbours = "data/neighbours/train.parquet"
    without = ("not done", f"{neighbours} is missing; run 'dvc repro retrieve'")
    assert verify.absent({"data": {neighbours: ""}}) == without


def test_a_receipt_says_nothing_of_the_machine(copy: Path) -> None:
    told = (paths.ADAPTER / loading.RECEIPT).read_text()
    (state,) = (copy / "runs/train").iterdir()
    for value in json.loads((state / "machine.json").read_text()).values():
        assert value not in told
    assert state.name not in told
    content = json.loads(told)
    assert content["losses"]
    assert content["validation_losses"]["0"] > content["validation_losses"][str(content["steps"])]


def test_changed_params_yaml_does_not_change_what_is_verified(copy: Path) -> None:
    prepare(copy, epochs=7, lora__r=4, seed=9, retrieval__neighbours=1)
    assert set(verdicts().values()) == {"equal"}


def test_code_that_make_relock_found_equal_is_accepted(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained_with = fingerprint.code()
    monkeypatch.setattr(fingerprint, "_CODE", fingerprint._CODE[1:])  # another hash, as after a renamed function
    assert verdicts()["code"] == "not done"
    files.write_json(paths.RELOCKED, {"training_code": {fingerprint.code(): trained_with}})
    assert set(verdicts().values()) == {"equal"}
    assert "checkpoint-" in next(one.check for one in verify.findings(paths.ADAPTER, 1) if "replay" in one.check)
    paths.RELOCKED.write_text("[]")
    with pytest.raises(UserError, match=r"is not a file of make relock; run 'git checkout metrics/relocked.json."):
        verdicts()
