"""Which tokens of training rows have no loss: those of sentences with a number that the row's prompt lacks.

Who is trained on "It weighs 310 g." learns to state a weight whenever one is usual, with whatever number is likely.
Without a loss on such sentences the model learns to write those that it can support; they stay in the row, so that the
sentences behind them have their context.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from copywriter import sentences
from copywriter.grounding import Stated, excerpt, unsupported
from copywriter.prompt import Example, Prompter
from copywriter.records import Product
from copywriter.retrieval.neighbours import Context


def supported_only(
    prompter: Prompter, examples: Sequence[Example], products: Sequence[Product], shown: Sequence[Context] | None
) -> list[Example]:
    """The examples with `untrained` set.

    `examples`: of `products`, in order, as `prompter` made them; `shown`: the neighbours in their prompts.
    """
    contexts = shown or [()] * len(products)
    numeric = [row for row, one in enumerate(products) if any(char.isnumeric() for char in one.description)]
    texts = [text for text, _, _ in prompter.responses([products[row].description for row in numeric])]
    places: dict[int, tuple[str, list[int]]] = {}  # by row: its text, and where that has an unsupported number
    for row, text in zip(numeric, texts, strict=True):
        stated = _stated(prompter, examples[row], products[row], contexts[row])
        if found := [one.start for one in unsupported(text, stated)]:
            places[row] = (text, found)
    untrained = dict(zip(places, _tokens(prompter, list(places.values())), strict=True))
    return [
        dataclasses.replace(
            one, untrained=tuple((one.prompt_length + a, one.prompt_length + b) for a, b in untrained.get(row, []))
        )
        for row, one in enumerate(examples)
    ]


def _stated(prompter: Prompter, example: Example, product: Product, context: Context) -> Stated:
    """What the example's prompt states: as evaluation reads it of a text's sources."""
    words = prompter.words_shown(example.input_ids[: example.prompt_length], context) if context else []
    parts = (excerpt(one.title, one.description, count) for one, count in zip(context, words, strict=True) if count)
    return Stated((product.title, product.facts, *parts))


def _tokens(prompter: Prompter, found: Sequence[tuple[str, Sequence[int]]]) -> Iterator[list[tuple[int, int]]]:
    """Of each text the tokens [start, end) of the sentences that have a character of its places."""
    if not found:
        return
    encoded = prompter.tokenizer([text for text, _ in found], add_special_tokens=False, return_offsets_mapping=True)
    for (text, places), offsets in zip(found, encoded["offset_mapping"], strict=True):
        inside = [
            [at for at, (first, last) in enumerate(offsets) if first < end and last > start]
            for start, end in sentences.spans(text)
            if any(start <= place < end for place in places)
        ]
        yield [(some[0], some[-1] + 1) for some in inside]
