"""Writes a description for a title: `python -m copywriter.ask "Girls Ballet Tutu Neon Pink"`.

Without a title it asks for one again and again; with --file, or titles on standard input, it writes JSON lines.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from copywriter import paths
from copywriter.errors import UserError


def _typed() -> Iterator[str]:
    print("ask: type a title; an empty line ends it", file=sys.stderr)
    while line := _line():
        yield line


def _line() -> str:
    try:
        return input("title> ").strip()
    except EOFError:
        return ""


def _ask(options: argparse.Namespace) -> int:
    if options.seed and not options.temperature:
        raise UserError("--seed draws nothing without a temperature; add --temperature 0.7")
    if options.temperature < 0:
        raise UserError(
            f"--temperature {options.temperature} is below 0; 0 takes the likeliest word, 1 draws as trained"
        )
    batch = options.file or (None if options.titles or sys.stdin.isatty() else "-")
    if batch and (options.titles or options.temperature):
        raise UserError("titles from a file are written greedily and alone; leave TITLE and --temperature out")
    try:
        source = sys.stdin if batch in (None, "-") else Path(batch).open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{batch} cannot be read ({error.strerror}); name a file with a title on each line") from None
    with source:
        from copywriter.generation.session import Conversation  # brings torch: --help and mistakes need not wait for it

        asked = Conversation(options)
        if batch:
            asked.lines(source)
        for title in options.titles or ([] if batch else _typed()):
            asked.title(title, heading=len(options.titles) > 1 and not options.json)
    return 1 if asked.failed else 0


def main() -> None:
    """Wires the command; exit code 1 when a title got no text."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.ask", description=__doc__)
    parser.add_argument("titles", nargs="*", metavar="TITLE", help="none: asks for them, or reads standard input")
    parser.add_argument("--file", metavar="FILE", help="a title, or a JSON object with one, on each line; - is stdin")
    parser.add_argument("--question", help="ask in your own words; by default one of params.yaml's questions")
    parser.add_argument(
        "--weights", type=Path, default=paths.ADAPTER, help="models/adapter (default) or another folder"
    )
    parser.add_argument("--compare", action="store_true", help="the base model's text too, before the weights' own")
    parser.add_argument("--json", action="store_true", help="one JSON object a title")
    parser.add_argument("--temperature", type=float, default=0.0, help="over 0: words are drawn, by --seed")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same text on one machine")
    try:
        code = _ask(parser.parse_args())
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
