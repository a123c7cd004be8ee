"""Equal input, equal bytes: the committed lock is what a new checkout makes from nothing, hash by hash."""

from pathlib import Path

from tests.conftest import ROOT
from tests.test_pipeline import Checkout, ran


def test_a_new_checkout_makes_the_committed_hashes(tmp_path: Path) -> None:
    # fetch to analyze_lengths on all 80,000 lines, and the real base model: about a minute and a half on two cores.
    made = Checkout(tmp_path / "copy", tmp_path / "runs")
    committed = (ROOT / "dvc.lock").read_text()
    output = made.dvc("repro", "--force", "fetch_model", "analyze_lengths")
    assert set(ran(output)) == {"fetch", "fetch_model", "clean", "sample", "split", "retrieve", "analyze_lengths"}
    assert (made.folder / "dvc.lock").read_text() == committed
    for file in (made.folder / "metrics").iterdir():  # a full run leaves a page in ROOT that Git does not track
        assert file.read_bytes() == (ROOT / "metrics" / file.name).read_bytes()
