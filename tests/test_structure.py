"""The rooms: dvc.yaml against the imports, imports that flow one way, promised libraries at work, exact pins."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML, parser

from copywriter.checkpoints import fingerprint
from tests.conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
# Their values are tracked as params and outs, and none of them changes what a stage writes.
NOT_DEPS = {
    f"copywriter/{name}.py" for name in ("__init__", "errors", "lora_options", "params", "paths", "stage", "throughput")
}
PROMISED = [
    *("dvc", "transformers", "peft", "bitsandbytes", "trl", "datasets", "accelerate", "evaluate"),
    *("sacrebleu", "rouge_score", "pyarrow", "torch.utils.tensorboard"),
]


def sources(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Every module that `file` names in an import, anywhere in it; `from a import b` names a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_files(file: Path) -> set[str]:
    """The files of copywriter/ that `file` imports, also through one another."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        for name in imported(waiting.pop()):
            path = Path(name.replace(".", "/") + ".py")
            if name.startswith("copywriter.") and (ROOT / path).exists() and path.as_posix() not in found:
                found.add(path.as_posix())
                waiting.append(ROOT / path)
    return found


def stages() -> dict[str, dict[str, Any]]:
    return {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}


@pytest.mark.parametrize("name", list(PIPELINE["stages"]))
def test_deps_are_the_stage_and_the_modules_that_it_imports(name: str) -> None:
    stage = stages()[name]
    script = f"stages/{name}.py"
    assert stage["cmd"].split(" ")[:3] == ["python", "-m", f"stages.{name}"]
    code = {dep for dep in stage["deps"] if dep.startswith(("stages/", "copywriter/"))}
    needed = {script} | (own_files(ROOT / script) - NOT_DEPS)

    def covered(dep: str) -> set[str]:
        return {file for file in needed if file == dep or file.startswith(f"{dep}/")}

    assert set().union(*map(covered, code)) == needed
    assert [dep for dep in sorted(code) if not covered(dep)] == []  # every dep is used


def test_every_dep_that_is_not_code_is_made_by_a_stage_or_stands_in_the_checkout() -> None:
    made = set()
    for stage in stages().values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            made.add(next(iter(out)) if isinstance(out, dict) else out)
    made |= {name.replace("${key}", key) for name in made for key in ("base", "tuned")} | {"${item.weights}"}
    needed = {dep for stage in stages().values() for dep in stage["deps"]}
    missing = {dep for dep in needed - made if not (ROOT / dep).exists()}
    assert not missing


def test_stages_and_modules_are_one_to_one() -> None:
    modules = {file.stem for file in sources("stages")} - {"__init__"}
    assert modules == set(PIPELINE["stages"])


def test_imports_flow_one_way() -> None:
    for file in sources("copywriter"):
        assert not {name for name in imported(file) if name.split(".")[0] in {"stages", "tools", "tests"}}, file
    for file in sources("stages"):
        assert not {name for name in imported(file) if name.split(".")[0] in {"stages", "tools", "tests"}}, file


@pytest.mark.parametrize("library", PROMISED)
def test_every_promised_library_is_used_outside_the_tests(library: str) -> None:
    users = [
        file
        for file in sources("copywriter", "stages", "tools")
        if any(name == library or name.startswith(library + ".") for name in imported(file))
    ]
    assert users


def loads(stage: str, *libraries: str) -> bool:
    """Whether a stage loads any of them before it works."""
    check = f"import sys, stages.{stage}; sys.exit(any(one in sys.modules for one in {libraries}))"
    return bool(subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode)


@pytest.mark.parametrize("name", ["fetch", "fetch_model", "clean", "sample", "split", "compare", "report"])
def test_stages_that_hold_no_tensor_start_without_torch(name: str) -> None:
    assert not loads(name, "torch", "transformers", "datasets")


@pytest.mark.parametrize("name", ["baseline", "evaluate"])
def test_the_processes_that_score_start_from_a_stage_that_imports_little(name: str) -> None:
    assert not loads(name, "torch", "transformers", "datasets", "evaluate")


def test_requirements_are_exact_and_agree_with_the_constraints() -> None:
    pin = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")

    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text().splitlines()
        found = [pin.match(line) for line in lines if line and not line.startswith(("#", "-"))]
        assert all(found), name
        return {re.sub(r"[-_.]+", "-", one[1]).lower(): one[2] for one in found if one}

    constraints = pins("constraints.txt")
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert pins(name).items() <= constraints.items(), name


def test_dvc_reads_its_files_in_c() -> None:
    # It falls back to Python without a word where the library is missing, and then reads for seconds in every run.
    assert YAML(typ="safe").Parser is not parser.Parser


def test_no_tracked_section_holds_a_key_that_dvcs_run_cache_overlooks() -> None:
    # It hashes a stage's params without every inner key called `size` or `nfiles`: a change would fetch an old result.
    given = yaml.safe_load((ROOT / "params.yaml").read_text()) | yaml.safe_load((ROOT / "sources.yaml").read_text())

    def keys(value: object) -> set[str]:
        return set(value) | set().union(*map(keys, value.values())) if isinstance(value, dict) else set()

    for name, stage in stages().items():
        sections = [given[key] for key in stage.get("params", []) if isinstance(key, str) and "." not in key]
        assert not set().union(*map(keys, sections)) & {"size", "nfiles"}, name
    assert not keys(yaml.safe_load((ROOT / "sources.yaml").read_text())) & {"size", "nfiles"}


def test_params_that_a_stage_reads_are_listed_key_by_key() -> None:
    keys = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    for name, stage in stages().items():
        listed = {key.split(".")[0] for key in stage.get("params", []) if isinstance(key, str)}
        assert listed <= keys, name
        # A stage that hands the whole of params on lists all that matter to what it calls.
        attributes = set(re.findall(r"\bp(?:arams)?\.([a-z_]+)", (ROOT / f"stages/{name}.py").read_text())) & keys
        if name != "report":
            assert attributes <= listed, name


def test_the_fingerprint_holds_every_module_that_a_training_imports_but_those_that_do_not_change_it() -> None:
    # They read, check, watch or write; what they hand on is hashed itself, as rows, tokens or params; nf4 scores.
    aside = {
        "checkpoints/fingerprint",
        "checkpoints/lock",
        "checkpoints/process",
        "code_hash",
        "errors",
        "files",
        "lora_options",
        "modeling/lora_merge",
        "modeling/nf4_values",
        "params",
        "paths",
        "records",
        "stage",
        "text",
        "throughput",
        "training/interrupts",
        "training/launch",
        "training/memory",
        "training/memory_fit",
        "training/receipt",
        "training/row_validation",
        "training/tracking",
    }
    hashed = {name.removesuffix(".py") for name in fingerprint._CODE}
    imports = {
        name.removeprefix("copywriter/").removesuffix(".py") for name in own_files(ROOT / "stages/train_qlora.py")
    }
    assert imports - {
        "__init__",
        *(f"{room}/__init__" for room in ("checkpoints", "modeling", "training")),
    } == hashed | (aside & imports)
    assert not hashed & aside
