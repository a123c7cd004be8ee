"""One run of `ask`: titles from arguments, the terminal or a file; texts streamed or written as JSON lines."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.generation.generate import Generated
from copywriter.generation.inference import InferenceModel, Request, request
from copywriter.retrieval.retriever import Source


class Session:
    """Parsed command-line options with their models loaded; `failed` counts the titles that got no text."""

    def __init__(self, options: argparse.Namespace) -> None:
        """UserError when weights are missing, damaged or trained on another base."""
        self.options = options
        self.failed = 0
        p = params.load()
        weights = {"base": paths.BASE, "tuned": options.weights} if options.compare else {"": options.weights}
        self.models = {name: InferenceModel(folder, p) for name, folder in weights.items()}

    def title(self, title: str, heading: bool = False) -> None:
        """Prints the text of one title while it is generated; with --json as one JSON line."""
        try:
            one = self._checked(title, self.options.question)
        except UserError as error:
            self._fail(str(error))
            return
        if heading:
            print(f"# {one.title}")
        found = {name: self._stream(name, one) for name in self.models}
        if self.options.json:
            print(self._json(one, found), flush=True)
        else:
            for source in self._sources(one):
                print(f"source: {printable(source.product.title)} ({source.similarity:.2f})", file=sys.stderr)

    def lines(self, lines: Iterable[str]) -> None:
        """Prints a JSON line for each line that is not empty, in order; for a bad line its error, and continues."""
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        batch_size = min(one.batch_size for one in self.models.values())
        while batch := [(number, self._read(line)) for number, line in islice(numbered, batch_size)]:
            requests = [one for _, one in batch if isinstance(one, Request)]
            texts = {name: model.texts(requests) for name, model in self.models.items()}
            for number, one in batch:
                if isinstance(one, Request):
                    print(self._json(one, {name: next(text) for name, text in texts.items()}), flush=True)
                else:
                    print(json.dumps({"line": number, "error": one}, ensure_ascii=False), flush=True)
                    self._fail(f"line {number}: {one}")

    def _fail(self, message: str) -> None:
        self.failed += 1
        print(f"ask: {message}", file=sys.stderr, flush=True)

    def _checked(self, title: str, question: str | None) -> Request:
        one = request(title, question)
        for model in self.models.values():
            model.prompt(one)
        return one

    def _read(self, line: str) -> Request | str:
        """The request in a line, or the error message."""
        try:
            row = json.loads(line) if line.lstrip().startswith("{") else {"title": line}
        except (ValueError, RecursionError) as error:
            return f'it starts with {{ but is not valid JSON ({error}); write {{"title": "..."}}, or the title alone'
        title, question = row.get("title"), row.get("question", self.options.question)
        if not isinstance(title, str) or not isinstance(question, str | None):
            return 'its "title" or "question" is missing or not a string; write {"title": "..."}, or the title alone'
        try:
            return self._checked(title, question)
        except UserError as error:
            return str(error)

    def _stream(self, name: str, one: Request) -> Generated | None:
        shown = not self.options.json
        if shown and name:
            print(f"{name}: ", end="")
        generated = None
        for piece, generated in self.models[name].stream(one, self.options.temperature, self.options.seed):  # noqa: B007
            if shown:
                print(printable(piece), end="", flush=True)
        if shown:
            print(flush=True)
        return generated

    def _sources(self, one: Request) -> list[Source]:
        """The training products that the last model's prompt shows."""
        return list(self.models.values())[-1].sources(one)

    def _json(self, one: Request, found: Mapping[str, Generated | None]) -> str:
        texts = {
            name: {"written": text.text, "stopped": text.stopped, "tokens": text.tokens}
            for name, text in found.items()
            if text
        }
        prompt: dict[str, Any] = {"title": one.title, "question": next(iter(self.models.values())).question(one)}
        if sources := self._sources(one):
            prompt["sources"] = [
                {"row": source.row, "title": source.product.title, "similarity": round(source.similarity, 4)}
                for source in sources
            ]
        return json.dumps(prompt | texts.get("", texts), ensure_ascii=False)


def printable(text: str) -> str:
    """`text` with spaces in place of characters that control a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
