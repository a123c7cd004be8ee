"""One run of `ask`: titles from arguments, the terminal or a file; texts streamed or written as JSON lines."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import islice

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.generation import answers, marking
from copywriter.generation.answers import Answer, printable
from copywriter.generation.inference import InferenceModel, Request, ordered_facts, request, trained_facts
from copywriter.messages import message


class Session:
    """Parsed command-line options with their models loaded; `failed` counts the titles that got no text."""

    def __init__(self, options: argparse.Namespace) -> None:
        """UserError when weights are missing, damaged or trained on another base."""
        self.options = options
        self.failed = 0
        p = params.load()
        weights = {"base": paths.BASE, "tuned": options.weights} if options.compare else {"": options.weights}
        self.fact_names = trained_facts(options.weights)
        self.facts = ordered_facts(options.fact, self.fact_names)
        self.models = {name: InferenceModel(folder, p) for name, folder in weights.items()}

    def title(self, title: str, heading: bool = False) -> None:
        """Prints the text of one title while it is generated; with --json as one JSON line."""
        try:
            one = self._checked(title, self.options.question, self.facts)
        except UserError as error:
            self._fail(str(error))
            return
        if heading:
            print(f"# {one.title}")
        found = {name: self._stream(name, one) for name in self.models}
        if self.options.json:
            print(self._json(one, found), flush=True)
        else:
            for source in list(found.values())[-1].sources:
                shown = printable(source.product.title)
                line = message("source: {title} ({similarity:.2f})", title=shown, similarity=source.similarity)
                print(line, file=sys.stderr)
            for name, answer in found.items():
                if odd := answers.unsupported_numbers(self.models[name], one, answer):
                    numbers = printable(", ".join(odd))
                    if name:
                        line = message("unsupported in {name}: {numbers}", name=_label(name), numbers=numbers)
                    else:
                        line = message("unsupported: {numbers}", numbers=numbers)
                    print(line, file=sys.stderr)

    def lines(self, lines: Iterable[str]) -> None:
        """Prints a JSON line for each line that is not empty, in order; for a bad line its error, and continues."""
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        batch_size = min(one.batch_size for one in self.models.values())
        while batch := [(number, self._read(line)) for number, line in islice(numbered, batch_size)]:
            requests = [one for _, one in batch if isinstance(one, Request)]
            batches = {
                name: answers.write(model, requests, self.options.best, self.options.words)
                for name, model in self.models.items()
            }
            for number, one in batch:
                if isinstance(one, Request):
                    print(self._json(one, {name: next(some) for name, some in batches.items()}), flush=True)
                else:
                    print(json.dumps({"line": number, "error": one}, ensure_ascii=False), flush=True)
                    self._fail(f"line {number}: {one}")

    def _fail(self, message: str) -> None:
        self.failed += 1
        print(f"ask: {message}", file=sys.stderr, flush=True)

    def _checked(self, title: str, question: str | None, facts: str) -> Request:
        one = request(title, question, facts)
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
        facts = row.get("facts", {})
        if not isinstance(facts, dict):
            return 'its "facts" are no object; write {"title": "...", "facts": {"brand": "..."}}'
        try:
            given = ordered_facts(self.options.fact | facts, self.fact_names)
            return self._checked(title, question, given)
        except UserError as error:
            return str(error)

    def _stream(self, name: str, one: Request) -> Answer:
        shown = not self.options.json
        if shown and name:
            print(f"{_label(name)}: ", end="")
        options = {name: getattr(self.options, name) for name in ("temperature", "seed", "words")}
        form = marking.underlined if sys.stdout.isatty() else marking.plain
        best = self.options.best
        for piece, answer in answers.stream(self.models[name], one, best, form, **({} if best else options)):  # noqa: B007
            if shown:
                print(piece, end="", flush=True)
        if shown:
            print(flush=True)
        assert answer is not None  # it comes with the last piece
        return answer

    def _json(self, one: Request, found: Mapping[str, Answer]) -> str:
        return json.dumps(answers.row(self.models, one, found), ensure_ascii=False)


def _label(name: str) -> str:
    """The name of a model of --compare for people."""
    return message("tuned") if name == "tuned" else name
