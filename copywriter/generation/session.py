"""One run of `ask`: titles typed, named or read from a file, and their texts streamed or as JSON lines."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import islice

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.generation.generate import Written
from copywriter.generation.inference import Answers, Request, request


class Conversation:
    """What the command line asks for, with its models loaded; `failed` counts the titles that got no text."""

    def __init__(self, options: argparse.Namespace) -> None:
        """UserError when weights are missing, damaged or of another base."""
        self.options = options
        self.failed = 0
        p = params.load()
        places = {"base": paths.BASE, "tuned": options.weights} if options.compare else {"": options.weights}
        self.models = {name: Answers(place, p) for name, place in places.items()}

    def title(self, title: str, heading: bool = False) -> None:
        """Writes the text of one title as it comes; as one JSON line with --json."""
        try:
            one = self._checked(title, self.options.question)
        except UserError as error:
            self._bad(str(error))
            return
        if heading:
            print(f"# {one.title}")
        found = {name: self._stream(name, one) for name in self.models}
        if self.options.json:
            print(self._json(one, found), flush=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Writes a JSON line for each line that is not empty, in their order; for a bad one its error, and goes on."""
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        at_once = min(one.at_once for one in self.models.values())
        while group := [(number, self._read(line)) for number, line in islice(numbered, at_once)]:
            whole = [one for _, one in group if isinstance(one, Request)]
            texts = {name: answers.texts(whole) for name, answers in self.models.items()}
            for number, one in group:
                if isinstance(one, Request):
                    print(self._json(one, {name: next(written) for name, written in texts.items()}), flush=True)
                else:
                    print(json.dumps({"line": number, "error": one}, ensure_ascii=False), flush=True)
                    self._bad(f"line {number}: {one}")

    def _bad(self, what: str) -> None:
        self.failed += 1
        print(f"ask: {what}", file=sys.stderr, flush=True)

    def _checked(self, title: str, question: str | None) -> Request:
        one = request(title, question)
        for answers in self.models.values():
            answers.prompt(one)
        return one

    def _read(self, line: str) -> Request | str:
        """What a line asks, or why it cannot be answered."""
        try:
            row = json.loads(line) if line.lstrip().startswith("{") else {"title": line}
        except (ValueError, RecursionError) as error:
            return f'it begins as JSON and is none ({error}); write {{"title": "..."}}, or the title alone'
        title, question = row.get("title"), row.get("question", self.options.question)
        if not isinstance(title, str) or not isinstance(question, str | None):
            return 'its "title" or "question" is missing or no text; write {"title": "..."}, or the title alone'
        try:
            return self._checked(title, question)
        except UserError as error:
            return str(error)

    def _stream(self, name: str, one: Request) -> Written | None:
        shown = not self.options.json
        if shown and name:
            print(f"{name}: ", end="")
        written = None
        for piece, written in self.models[name].stream(one, self.options.temperature, self.options.seed):  # noqa: B007
            if shown:
                print(printable(piece), end="", flush=True)
        if shown:
            print(flush=True)
        return written

    def _json(self, one: Request, found: Mapping[str, Written | None]) -> str:
        texts = {name: {"written": w.text, "stopped": w.stopped, "tokens": w.tokens} for name, w in found.items() if w}
        asked = {"title": one.title, "question": next(iter(self.models.values())).question(one)}
        return json.dumps(asked | texts.get("", texts), ensure_ascii=False)


def printable(text: str) -> str:
    """`text` without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
