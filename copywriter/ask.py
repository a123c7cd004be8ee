"""Writes a description for a title: `python -m copywriter.ask "Girls Ballet Tutu Neon Pink"`."""

import argparse
import sys
from operator import itemgetter
from pathlib import Path

from copywriter import device, model, params, paths
from copywriter.evaluation import generate
from copywriter.prompt import Prompter, load_tokenizer
from copywriter.stage import UserError


def describe(titles: list[str], weights: Path, p: params.Params, question: str | None = None) -> list[str]:
    """A description for each title, asked by `question` or, without one, as in training and evaluation."""
    if empty := [title for title in titles if not any(letter.isalnum() for letter in title)]:
        raise UserError(f"the title {empty[0]!r} has no letter or digit; give the product's name")
    processor = device.choose()
    tokenizer = load_tokenizer(weights)
    prompts = Prompter(tokenizer, p).prompts(titles, [question] * len(titles) if question else None)
    dense = model.load_dense(weights, p.quantization, device.dtype(p.precision, processor), processor)
    return [one.text for _, one in sorted(generate.texts(dense, tokenizer, prompts, p.decoding), key=itemgetter(0))]


def _ask(arguments: argparse.Namespace) -> None:
    titles = [" ".join(title.split()) for title in arguments.titles]
    for text in describe(titles, arguments.weights, params.load(), arguments.question):
        print(text)


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.ask", description=__doc__)
    parser.add_argument("titles", nargs="+", metavar="TITLE")
    parser.add_argument("--question", help="ask in your own words; by default one of params.yaml's questions")
    parser.add_argument("--weights", type=Path, default=paths.ADAPTER, help="models/adapter (default) or models/base")
    arguments = parser.parse_args()
    try:
        _ask(arguments)
    except UserError as error:
        print(f"ask: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
