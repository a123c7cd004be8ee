"""Token ids and likelihoods of the embedded models are those of llama.cpp, on the same file."""

import os
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from copywriter import files, paths, sources
from copywriter.errors import UserError
from stages import fetch_model
from tests.conftest import ROOT, stand_in
from tests.stages.fetch_model.conftest import published, write_gguf  # noqa: F401  (a fixture)
from tools import check_model

xllamacpp = pytest.importorskip("xllamacpp", reason="make .venv/ready-dev installs it")


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the project's sources.yaml, and the user's own cache and mirror."""
    for name, place in {"CACHE": "COPYWRITER_CACHE", "MIRROR": "COPYWRITER_MIRROR"}.items():
        default = Path.home() / ".cache" / "copywriter" if name == "CACHE" else None
        monkeypatch.setattr(paths, name, Path(os.environ[place]) if os.environ.get(place) else default)
    (tmp_path / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    return stand_in(tmp_path, monkeypatch)


def in_cache(name: str) -> bool:
    entry = sources.load(ROOT / "sources.yaml").models[name]
    assert isinstance(entry, sources.Wheels)
    return (paths.CACHE / entry.sha256 / entry.file).exists()


def test_smollm2_is_llama_cpps_within_two_percent() -> None:
    line = check_model.check("smollm2-135m")
    assert line.startswith("smollm2-135m: NLL 3.7294, llama.cpp 3.7")
    assert line.endswith("equal token ids")


def test_gemma_270m_is_llama_cpps_within_two_percent() -> None:
    if not in_cache("gemma-3-270m"):
        pytest.skip("gemma-3-270m was never fetched here (253 MB)")
    assert check_model.check("gemma-3-270m").startswith("gemma-3-270m: NLL 3.34")


@pytest.mark.parametrize("change", ["none", "weights"])
def test_other_weights_give_another_likelihood(published: Path, change: str) -> None:  # noqa: F811
    write_gguf(published, Path("tiny.gguf"), "gpt-2")
    entry = sources.Gguf(kind="gguf", path=Path("tiny.gguf"), sha256=files.sha256(Path("tiny.gguf")), licence="mine")
    fetch_model.fetch_model("tiny", entry, paths.BASE)
    if change == "weights":
        tensors = load_file(paths.BASE / "model.safetensors")
        tensors["model.norm.weight"] *= 3
        save_file(tensors, paths.BASE / "model.safetensors", metadata={"format": "pt"})
    other, ours, theirs = check_model.compare(Path("tiny.gguf"), paths.BASE)
    assert not other
    assert (abs(ours / theirs - 1) < check_model.TOLERANCE) is (change == "none")


def test_only_gguf_files_are_compared(checkout: Path, tiny_base: Path) -> None:
    (checkout / "sources.yaml").write_text(
        f"datasets: {{}}\nmodels: {{tiny: {{kind: folder, path: {tiny_base}, licence: mine}}}}\n"
    )
    with pytest.raises(UserError, match=r"tiny is not published as a GGUF file, which llama\.cpp reads; name one"):
        check_model.check("tiny")


@pytest.mark.parametrize(
    ("found", "message"),
    [((["a text"], 3.0, 3.0), "1 texts have other token ids, first 'a text'"), (([], 3.1, 3.0), "more than 2% apart")],
)
def test_a_difference_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, found: tuple[list[str], float, float], message: str
) -> None:
    monkeypatch.setattr(fetch_model, "published", lambda name, entry: Path("sources.yaml"))
    monkeypatch.setattr(fetch_model, "fetch_model", lambda name, entry, folder: "")
    monkeypatch.setattr(check_model, "compare", lambda file, folder: found)
    with pytest.raises(UserError, match=message):
        check_model.run(["smollm2-135m"])
