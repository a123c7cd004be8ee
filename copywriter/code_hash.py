"""A hash of Python modules by what they mean, for the fingerprints and cache keys that depend on code.

Comments, formatting, docstrings and the order of imports do not change it, nor does a move or a new name of a whole
module. Everything else does: a constant, an operator, a default, a decorator, the name of a function, a string.
The messages of errors count too: which string only a person reads cannot be decided here, and `make relock`
(tools/relock) proves for any change that the results are the same. Equal on Python 3.11, 3.12 and 3.13.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

# `ctx` follows from the position, `kind` is the u of u"", the last two exist only with type comments.
_WITHOUT_MEANING = {"ctx", "kind", "type_comment", "type_ignores"}
_ROUNDS = 3  # how many imports deep two modules may be alike before they count as the same


class Reference(NamedTuple):
    """A module of the same checkout, by its dotted name, or one of its attributes."""

    module: str
    attribute: str = ""


class Unordered(NamedTuple):
    """Forms whose order has no meaning."""

    forms: "tuple[Form, ...]"


Form: TypeAlias = "str | Reference | Unordered | tuple[Form, ...]"


def code_hash(files: Iterable[Path]) -> str:
    """SHA-256 of the modules in `files`.

    A reference to one of these modules is replaced by the module's own hash, and a reference to another module of the
    same checkout by a fixed word: so neither depends on where a module lies or on what it is called.
    """
    modules = {one.name: one.form for one in map(read, set(files))}
    identities: Mapping[str, str] = {}
    for _ in range(_ROUNDS):
        identities = {name: digest(form, identities) for name, form in modules.items()}
    return hashlib.sha256("\n".join(sorted(set(identities.values()))).encode()).hexdigest()


def closure(file: Path) -> set[Path]:
    """`file` and the modules of its checkout that it imports, also through one another, with their packages."""
    found: set[Path] = set()
    waiting = {file}
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting |= read(one).imports() - found
    return found


def read(file: Path) -> "Module":
    """The module in `file`; SyntaxError when it is none."""
    status = file.stat()
    return _read(file.absolute(), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=512)
def _read(file: Path, changed: int, size: int) -> "Module":
    root = file.parent
    while (root / "__init__.py").exists():
        root = root.parent
    return Module(file, root, ast.parse(file.read_bytes(), str(file)))


@dataclass(frozen=True)
class Module:
    """A module's syntax tree and where it lies; `root` holds the top-level packages."""

    file: Path
    root: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name under which it is imported."""
        return ".".join(self.file.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")

    @functools.cached_property
    def form(self) -> Form:
        """All its statements in normal form."""
        return self.normal(self.tree)

    def imports(self) -> set[Path]:
        """The files of its checkout that its import statements name, anywhere in it, and those of their packages."""
        names = set()
        for node in ast.walk(self.tree):
            for _, target in self._bound(node):
                if isinstance(target, Reference):
                    parts = target.module.split(".")
                    names |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return {file for file in map(self._own, names) if file}

    def normal(self, node: object) -> Form:
        """What of a node, a list of nodes or a value has a meaning, without positions."""
        match node:
            case ast.Constant():
                return "Constant", ascii(node.value)
            case ast.Name() if node.id in self._resolved:
                return self._resolved[node.id]
            case ast.JoinedStr():
                return "JoinedStr", tuple(self.normal(part) for part in _joined(node.values))
            case ast.AST():
                fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _WITHOUT_MEANING)
                parts = ((name, self.normal(value)) for name, value in fields if value is not None and value != [])
                return type(node).__name__, tuple(part for part in parts if part[1] != ())
            case list():
                return tuple(self._statements(node))
        return ascii(node)

    def _statements(self, nodes: list[object]) -> Iterator[Form]:
        """The forms of a list; imports that follow one another have no order, a lone string is a docstring."""
        together: list[Form] = []
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                together += [
                    ("import", target, "" if name in self._resolved else name) for name, target in self._bound(node)
                ]
                continue
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                continue
            if together:
                yield Unordered(tuple(together))
                together = []
            yield self.normal(node)
        if together:
            yield Unordered(tuple(together))

    @functools.cached_property
    def _resolved(self) -> dict[str, Form]:
        """What each imported name stands for, where nothing else in the module has that name."""
        targets: dict[str, set[Form]] = {}
        others: set[str] = set()
        for node in ast.walk(self.tree):
            for name, target in self._bound(node):
                targets.setdefault(name, set()).add(target)
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                    others.add(name)
                case ast.arg(arg=name):
                    others.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    others.add(name)
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                    others.add(name)
                case ast.MatchMapping(rest=str(name)):
                    others.add(name)
        return {name: next(iter(of)) for name, of in targets.items() if len(of) == 1 and name not in others}

    def _bound(self, node: ast.AST) -> Iterator[tuple[str, Form]]:
        """The names that an import statement binds, each with what it stands for."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                if self._own(whole):
                    yield alias.asname or whole, Reference(alias.name)
                else:
                    yield alias.asname or whole, ("external", alias.name if alias.asname else whole)
        elif isinstance(node, ast.ImportFrom):
            parts = self.file.relative_to(self.root).parts[: -node.level] if node.level else ()
            source = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                if self._own(inner):
                    yield alias.asname or alias.name, Reference(inner)
                elif self._own(source):
                    yield alias.asname or alias.name, Reference(source, alias.name)
                else:
                    yield alias.asname or alias.name, ("external", inner)

    def _own(self, name: str) -> Path | None:
        """The file of a module of this checkout."""
        place = self.root.joinpath(*name.split("."))
        files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
        return next((file for file in files if file.exists()), None) if name else None


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring texts in one: Python 3.12 splits them otherwise than 3.11."""
    found: list[ast.expr] = []
    for value in values:
        last = found[-1] if found else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            found[-1] = ast.Constant(str(last.value) + str(value.value))
        else:
            found.append(value)
    return [one for one in found if not (isinstance(one, ast.Constant) and one.value == "")]


def digest(form: Form, identities: Mapping[str, str]) -> str:
    """SHA-256 of a form; `identities`: what stands for a module of the checkout, by its name."""
    return hashlib.sha256(_text(form, identities).encode()).hexdigest()


def _text(form: Form, identities: Mapping[str, str]) -> str:
    if isinstance(form, str):
        return ascii(form)
    if isinstance(form, Reference):
        return f"<{identities.get(form.module, 'module')} {form.attribute}>"
    if isinstance(form, Unordered):
        return f"{{{','.join(sorted(_text(one, identities) for one in form.forms))}}}"
    return f"({','.join([_text(one, identities) for one in form])})"
