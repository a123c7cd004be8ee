"""dvc.yaml against the imports, one-way imports, tests that mirror the code, promised libraries, exact pins."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML, parser

from copywriter.checkpoints import fingerprint
from tests.conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
# Their values are tracked as params and outs, and none of them changes what a stage writes.
NOT_DEPS = {
    f"copywriter/{name}.py" for name in ("__init__", "errors", "lora_options", "params", "paths", "stage", "throughput")
}
# Folders of tests that mirror no folder of copywriter/: what each of them tests.
OTHER_TESTS = {
    "benchmarks": "benchmarks/",
    "remotes": "dvc.yaml and .dvc/config: push and pull of the pipeline's outputs",
    "stages": "stages/",
    "stress": "the pipeline under kills and extensions, for minutes",
    "support": "what tests and benchmarks share",
    "tools": "tools/",
}
LONGEST_MODULE = 300  # lines
LONGEST_NAME = 70  # characters behind test_
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


def test_every_data_dep_is_an_output_or_a_tracked_file() -> None:
    made = set()
    for stage in stages().values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            made.add(next(iter(out)) if isinstance(out, dict) else out)
    made |= {name.replace("${key}", key) for name in made for key in ("base", "tuned")} | {"${item.weights}"}
    needed = {dep for stage in stages().values() for dep in stage["deps"]}
    missing = {dep for dep in needed - made if not (ROOT / dep).exists()}
    assert not missing


def test_whatever_may_hold_a_shops_texts_is_never_pushed() -> None:
    pushed = {}
    for stage in stages().values():
        for out in stage["outs"]:
            name, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            pushed[name] = settings.get("push", True) and settings.get("cache", True)
    private = (
        "data/neighbours",
        "data/predictions_nearest.jsonl",
        "data/predictions_${key}.jsonl",
        "metrics/report.html",
    )
    assert [name for name in private if pushed[name]] == []
    to_adapters = [
        name
        for stage in stages().values()
        for out in stage["outs"]
        if isinstance(out, dict)
        for name, settings in out.items()
        if settings.get("remote") == "adapters"
    ]
    assert to_adapters == ["models/adapter"]


def test_stages_and_modules_are_one_to_one() -> None:
    modules = {file.stem for file in sources("stages")} - {"__init__"}
    assert modules == set(PIPELINE["stages"])


def test_imports_flow_one_way() -> None:
    for file in sources("copywriter", "stages"):
        roots = {name.split(".")[0] for name in imported(file)}
        assert not roots & {"stages", "tools", "tests", "benchmarks"}, file


def folders(of: str) -> set[str]:
    """The packages directly below a folder."""
    return {file.parent.name for file in (ROOT / of).glob("*/__init__.py")}


def test_each_folder_of_tests_mirrors_one_folder_of_code() -> None:
    assert folders("tests") - OTHER_TESTS.keys() == folders("copywriter")
    assert folders("tests") >= OTHER_TESTS.keys()


EVERYWHERE = ("benchmarks", "copywriter", "stages", "tests", "tools")


@pytest.mark.parametrize("folder", EVERYWHERE)
def test_no_module_is_long(folder: str) -> None:
    lines = {file.relative_to(ROOT): len(file.read_text().splitlines()) for file in sources(folder)}
    assert {file: count for file, count in lines.items() if count > LONGEST_MODULE} == {}


def test_no_test_has_a_long_name() -> None:
    names = {
        node.name.removeprefix("test_"): file.relative_to(ROOT)
        for file in sources("tests")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert {name: file for name, file in names.items() if len(name) > LONGEST_NAME} == {}


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
def test_scoring_processes_start_without_torch(name: str) -> None:
    assert not loads(name, "torch", "transformers", "datasets", "evaluate")


def test_requirements_are_exact_and_agree_with_the_constraints() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
        found = [Requirement(line) for line in lines if line and not line.startswith("-")]
        for one in found:
            assert [part.operator for part in one.specifier] == ["=="], f"{name}: {one}"
        return {canonicalize_name(one.name): str(one.specifier) for one in found}

    constraints = pins("constraints.txt")
    for name in ("requirements.txt", "requirements-page.txt", "requirements-dev.txt"):
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


def params_read(file: Path) -> set[str]:
    """The keys that `file` reads from a `Params`: from annotated arguments and from the result of `params.load`."""
    tree = ast.parse(file.read_text())
    names = {
        one.arg
        for one in ast.walk(tree)
        if isinstance(one, ast.arg) and one.annotation and ast.unparse(one.annotation).split(".")[-1] == "Params"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(("params.load(", "load(")):
            names |= {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }


def test_the_scan_finds_params_by_annotation_and_by_load(tmp_path: Path) -> None:
    file = tmp_path / "stage.py"
    file.write_text("def run(p: params.Params): return p.seed + q.other\ndef main():\n x = params.load()\n x.epochs\n")
    assert params_read(file) == {"seed", "epochs"}


def test_params_that_a_stage_reads_are_listed_key_by_key() -> None:
    keys = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    for name, stage in stages().items():
        listed = {key.split(".")[0] for key in stage.get("params", []) if isinstance(key, str)}
        assert listed <= keys, name
        # A stage that passes all of params on lists the keys that its callees read.
        if name != "report":
            assert params_read(ROOT / f"stages/{name}.py") & keys <= listed, name


def test_the_fingerprint_covers_the_modules_that_training_imports() -> None:
    # They read, check, watch or write; what they hand on is hashed itself, as rows, tokens or params; nf4 scores.
    aside = {
        "best_step",
        "checkpoints/fingerprint",
        "checkpoints/lock",
        "checkpoints/process",
        "code_hash",
        "errors",
        "files",
        "lora_options",
        "modeling/lora_merge",
        "modeling/nf4_values",
        "notices",
        "params",
        "paths",
        "records",
        "stage",
        "text",
        "throughput",
        "tokenizer_check",
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
