"""Writes a description for a title: `python -m copywriter.ask "Girls Ballet Tutu Neon Pink"`.

Without a title it prompts for titles until an empty line; with --file, or titles on standard input, it writes JSON
lines. With --fact brand=Acme the text is of a product that has this fact.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from copywriter import paths
from copywriter.errors import UserError
from copywriter.messages import message

MOST_WORDS = 400


def _typed() -> Iterator[str]:
    print(message("ask: type a title; an empty line quits"), file=sys.stderr)
    while line := _line():
        yield line


def _line() -> str:
    try:
        return input(message("title> ")).strip()
    except EOFError:
        return ""


class _Facts(argparse.Action):
    """Collects `--fact NAME=VALUE` in a dict."""

    def __call__(self, parser: argparse.ArgumentParser, given: argparse.Namespace, said: object, _: object = 0) -> None:
        name, equals, value = str(said).partition("=")
        if not name.strip() or not equals:
            parser.error(message("--fact {fact}: write NAME=VALUE, such as brand=Acme", fact=said))
        given.fact = given.fact | {name.strip(): value}


def _run(options: argparse.Namespace) -> int:
    if options.seed and not options.temperature:
        raise UserError(message("--seed has no effect on greedy decoding; add --temperature 0.7"))
    if options.temperature < 0:
        below = "--temperature {temperature} is below 0; 0 is greedy decoding, 1 samples from the model as trained"
        raise UserError(message(below, temperature=options.temperature))
    if options.best and options.temperature:
        raise UserError(message("--best chooses among greedy texts; leave --temperature out"))
    if options.words is not None and not 1 <= options.words <= MOST_WORDS:
        outside = "--words {words} is out of range; give a number from 1 to {most}"
        raise UserError(message(outside, words=options.words, most=MOST_WORDS))
    if options.words and options.best:
        raise UserError(message("--best chooses among texts of the model's own length; leave --words out"))
    if options.compare and options.weights == paths.BASE:
        twice = "--compare shows the base beside an adapter; leave --weights {base} out"
        raise UserError(message(twice, base=paths.BASE))
    if not options.weights.exists() and options.weights not in (paths.ADAPTER, paths.BASE):
        absent = "{weights} does not exist; --weights is the folder of an adapter, a base model or an export"
        raise UserError(message(absent, weights=options.weights))
    source = options.file or (None if options.titles or sys.stdin.isatty() else "-")
    if source and (options.titles or options.temperature):
        raise UserError(message("--file and standard input are decoded greedily; leave TITLE and --temperature out"))
    try:
        stream = sys.stdin if source in (None, "-") else Path(source).open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        unread = "{source} cannot be read ({reason}); name a file with a title on each line"
        raise UserError(message(unread, source=source, reason=error.strerror)) from None
    # Waiting OpenMP threads sleep: spinning takes the cores from those that they wait for. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with stream:
        from copywriter.generation.session import Session  # imports torch: --help and wrong options do not wait for it

        session = Session(options)
        if source:
            session.lines(stream)
        for title in options.titles or ([] if source else _typed()):
            session.title(title, heading=len(options.titles) > 1 and not options.json)
    return 1 if session.failed else 0


def main() -> None:
    """Runs the command; exit code 1 when a title got no text."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.ask", description=__doc__)
    parser.add_argument("titles", nargs="*", metavar="TITLE", help="none: prompts for titles, or reads standard input")
    parser.add_argument("--file", metavar="FILE", help="a title, or a JSON object with one, on each line; - is stdin")
    parser.add_argument(
        "--fact",
        action=_Facts,
        default={},
        metavar="NAME=VALUE",
        help="a fact of the product, such as brand=Acme, as the adapter was trained with; repeat it for more",
    )
    parser.add_argument("--question", help="your own question; by default one of params.yaml's")
    parser.add_argument(
        "--weights", type=Path, default=paths.ADAPTER, help="folder of the adapter or model (default: models/adapter)"
    )
    parser.add_argument("--compare", action="store_true", help="also write the base model's text, first")
    parser.add_argument(
        "--best",
        action="store_true",
        help="write decoding.candidates texts and show the one that evaluation would take, when all are finished",
    )
    parser.add_argument(
        "--words", type=int, metavar="N", help="write about N words, in whole sentences; by default the model decides"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object a title")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default), over 0 samples")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal texts on one machine")
    try:
        code = _run(parser.parse_args())
    except UserError as error:
        print(f"ask: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # `ask ... | head`
        sys.stderr.close()
        code = 0
    raise SystemExit(code)


if __name__ == "__main__":
    main()
