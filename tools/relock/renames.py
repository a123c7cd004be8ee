"""Functions, classes and values that only got another name between two versions of the code."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from copywriter.code_hash import Form, Reference, Unordered, digest, read

_FIELDS = {"id", "attr", "name", "arg"}  # in which a syntax tree holds an identifier


def renamed_to(today: Iterable[Path], locked: Iterable[Path]) -> dict[str, str]:
    """Today's name -> the earlier name, of what is defined alike in both and whose earlier name is used no more.

    `today`, `locked`: the files of both versions. A name that is used in both versions, or whose definition equals
    another one's, is not among them.
    """
    ours, theirs = _definitions(today), _definitions(locked)
    used_now, used_then = _identifiers(today), _identifiers(locked)
    new = {name for name in ours if name not in used_then}
    gone = {name for name in theirs if name not in used_now}
    blank = dict.fromkeys(new | gone, "?")

    def by_definition(names: set[str], definitions: Mapping[str, list[Form]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in names:
            key = "".join(sorted(digest(with_names(form, blank), {}) for form in definitions[name]))
            found.setdefault(key, []).append(name)
        return found

    before = by_definition(gone, theirs)
    now = by_definition(new, ours)
    return {names[0]: before[key][0] for key, names in now.items() if len(names) == 1 and len(before.get(key, [])) == 1}


def with_names(form: Form, names: Mapping[str, str]) -> Form:
    """A form with some identifiers replaced."""
    if isinstance(form, Reference):
        return Reference(form.module, names.get(form.attribute, form.attribute))
    if isinstance(form, Unordered):
        return Unordered(tuple(with_names(one, names) for one in form.forms))
    if isinstance(form, str):
        return form
    if len(form) == 2 and form[0] in _FIELDS and isinstance(form[1], str):
        word = form[1].strip("'")
        return form[0], ascii(names.get(word, word))
    return tuple(with_names(one, names) for one in form)


def _definitions(files: Iterable[Path]) -> dict[str, list[Form]]:
    """What each name of a module or class is defined as, in all modules together."""
    found: dict[str, list[Form]] = {}
    for file in files:
        module = read(file)
        for node in _defining(module.tree.body):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.setdefault(name, []).append(module.normal(node))
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.setdefault(name, []).append(module.normal(node))
    return found


def _defining(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _defining(node.body)


def _identifiers(files: Iterable[Path]) -> set[str]:
    names: set[str] = set()
    for file in files:
        for node in ast.walk(read(file).tree):
            for field, value in ast.iter_fields(node):
                if field in _FIELDS | {"asname"} and isinstance(value, str):
                    names.add(value)
                elif isinstance(node, ast.Constant) and isinstance(value, str):
                    names.add(value)  # getattr and the like
    return names
