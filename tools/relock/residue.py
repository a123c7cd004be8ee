"""What a replay on a CPU does not prove: the code that did not run in it, which must therefore not have changed.

Compared are, of all modules that a stage imports: the statements of functions that did not run, those that ran but name
something of CUDA, and the values that modules and classes define. A name that was replaced everywhere, messages of
errors and what is printed are left out: none of them can change a result that was computed.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from copywriter.code_hash import Form, Module, closure, digest, read
from tools.relock.renames import renamed_to, with_names

Ran: TypeAlias = "set[tuple[str, int]]"  # (file relative to the checkout, line)

# A statement that names one of these may compute something else on a GPU, though it ran on the CPU.
_CUDA = re.compile(r"cuda|compil|graph|triton|bf16|fp16|bfloat16|float16|autocast|dequantize", re.IGNORECASE)
_TENSORS = {"torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes"}
_COMPOUND = (
    *(ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match, ast.ClassDef),
    *(ast.AsyncFor, ast.AsyncWith, ast.ExceptHandler, ast.match_case),
)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class Item:
    """A function with what of it did not run, or a value that a module or class defines."""

    label: str
    form: Form
    whole: Form


def differences(
    today: Path, locked: Path, ran_today: Ran, ran_locked: Ran, stage: str, tensors_only: bool = False
) -> list[str]:
    """What changed without having run in both replays, a sentence each.

    `today`, `locked`: checkouts; `stage`: the stage's file in both. `tensors_only` leaves out the modules that import
    no library of tensors: for a stage whose other results were computed in full.
    """
    names = renamed_to(closure(today / stage), closure(locked / stage))
    ours, theirs = residue(today, ran_today, stage, tensors_only), residue(locked, ran_locked, stage, tensors_only)
    ours = [Item(one.label, with_names(one.form, names), with_names(one.whole, names)) for one in ours]
    # What is the same in both versions did not change, also where it ran in one replay alone: a thread's code, say.
    all_ours = {digest(with_names(one.whole, names), {}) for one in residue(today, set(), stage, tensors_only)}
    all_theirs = {digest(one.whole, {}) for one in residue(locked, set(), stage, tensors_only)}
    found: dict[str, None] = {}
    for some, others, alike in ((ours, theirs, all_theirs), (theirs, ours, all_ours)):
        some = [one for one in some if digest(one.whole, {}) not in alike]
        left = Counter(digest(one.form, {}) for one in some) - Counter(digest(one.form, {}) for one in others)
        found |= {one.label: None for one in some if left[digest(one.form, {})]}
    return [f"{label} changed, and the replay on a CPU does not run that code" for label in found]


def residue(root: Path, ran: Ran, stage: str, tensors_only: bool = False) -> list[Item]:
    """The items of a checkout's stage, given the lines that ran."""
    files = sorted(closure(root / stage))
    named = _named(files)
    found = []
    for file in files:
        if tensors_only and not _computes_with_tensors(file):
            continue
        relative = file.relative_to(root).as_posix()
        lines = {line for name, line in ran if name == relative}
        module = read(file)
        for name, form, whole in _items(module, module.tree.body, lines, named, ""):
            found.append(Item(f"{relative}: {name}", form, whole))
    return found


def _named(files: Sequence[Path]) -> set[str]:
    """Every identifier that is used anywhere in these modules: a function that none of them uses cannot run."""
    names = {"main"}
    for file in files:
        for node in ast.walk(read(file).tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name, asname=str()):
                    names.add(name)
    return names


def _computes_with_tensors(file: Path) -> bool:
    names: set[str] = set()
    for one in closure(file):
        for node in ast.walk(read(one).tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return not names.isdisjoint(_TENSORS)


def _items(
    module: Module, body: Sequence[ast.stmt], ran: set[int], named: set[str], within: str
) -> Iterator[tuple[str, Form, Form]]:
    """Where, what did not run of it, and all of it."""
    for node in body:
        whole = module.normal(node)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                can_run = within or node.decorator_list or node.name in named
                if can_run and (rest := _function(module, node, ran)):
                    yield f"{within}{node.name}", rest, whole
            case ast.ClassDef():
                if bases := tuple(map(module.normal, [*node.bases, *node.keywords, *node.decorator_list])):
                    yield f"{within}{node.name}", bases, bases
                body = node.body
                if any("dataclass" in ast.unparse(one) for one in node.decorator_list):  # checks no types
                    body = [one for one in body if not isinstance(one, ast.AnnAssign) or one.value]
                yield from _items(module, body, ran, named, f"{within}{node.name}.")
            case ast.Assign():
                yield within + ast.unparse(node.targets[0]), module.normal(node.value), whole
            case ast.AnnAssign():
                value = (module.normal(node.annotation), module.normal(node.value))
                yield within + ast.unparse(node.target), value, whole
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):  # names for annotations alone
                yield from _items(module, node.body, ran, named, within)
            case _:
                yield f"{within}line {node.lineno}", whole, whole


def _function(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, ran: set[int]) -> tuple[Form, ...]:
    """Decorators, defaults and what of the body did not run; all arguments where none of it did."""
    head: list[ast.AST] = [*node.decorator_list, node.args]
    if any(_lines(one) & ran for one in node.body):
        head = [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one)]
    return (*map(module.normal, head), *_statements(module, node.body, ran))


def _statements(module: Module, body: Sequence[ast.AST], ran: set[int]) -> Iterator[Form]:
    """The forms of what did not run."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant() | ast.Call(func=ast.Name(id="print"))):
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if rest := _function(module, node, ran):
                    yield "def", rest
            case ast.Raise():
                if not _lines(node) & ran:
                    yield "raise", module.normal(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            case _ if isinstance(node, _COMPOUND):
                parts = [(name, getattr(node, name, [])) for name in _BODIES]
                inner = tuple((name, tuple(_statements(module, part, ran))) for name, part in parts if part)
                inner = tuple(part for part in inner if part[1])
                header = [part for name, part in ast.iter_fields(node) if name not in _BODIES and part is not None]
                if _header_ran(node, ran) and not _names_cuda(header):
                    header = []
                if header or inner:
                    yield type(node).__name__, tuple(map(module.normal, header)), inner
            case _:
                if not _lines(node) & ran or _names_cuda([node]):
                    yield module.normal(node)


def _header_ran(node: ast.AST, ran: set[int]) -> bool:
    """Whether the first lines of a compound statement ran; of a handler or a case, whether its body did."""
    if isinstance(node, ast.ExceptHandler | ast.match_case):
        return any(_lines(one) & ran for one in node.body)
    inner = [min(_lines(part[0])) for part in (getattr(node, name, []) for name in _BODIES) if part]
    start = min(_lines(node))
    return bool(set(range(start, max(start + 1, min(inner)))) & ran)


def _lines(node: ast.AST) -> set[int]:
    if isinstance(node, ast.match_case):
        return {line for one in [node.pattern, *node.body] for line in _lines(one)}
    start, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    return set(range(start, (end or start) + 1))


def _names_cuda(parts: Sequence[object]) -> bool:
    for part in parts:
        for one in part if isinstance(part, list) else [part]:
            for node in ast.walk(one) if isinstance(one, ast.AST) else ():
                match node:
                    case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str(word)):
                        pass
                    case ast.Constant(value=str(word)):
                        pass
                    case _:
                        continue
                if _CUDA.search(word):
                    return True
    return False
