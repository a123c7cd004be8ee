"""Prompts and training examples as token ids: the one source for length analysis, training, evaluation and `ask`."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copywriter import errors, paths
from copywriter.errors import UserError
from copywriter.params import Params
from copywriter.records import Product

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD = re.compile(r"\S+")
_CHARACTER = re.compile(r"(?s).")
_WITHIN_VALUE = re.compile(r"(?:(?<=\n)[^\n]*?: )?\S+")  # of facts: a name is no end without a word of its value
_MESSAGE = "\u2402message\u2403"  # placeholder: the chat template is rendered once around it


def load_tokenizer(weights: Path) -> PreTrainedTokenizerBase:
    """The tokenizer stored with the weights; its eos_token ends a turn."""
    from transformers import AutoTokenizer  # takes seconds; `ask` may not need it

    cure = "dvc pull models/adapter' or 'dvc repro train_qlora" if weights == paths.ADAPTER else "dvc repro fetch_model"
    errors.existing(weights / "tokenizer.json", cure)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    return tokenizer


def tokenizer_files(weights: Path) -> list[Path]:
    """The tokenizer's files among the weights, chat template included."""
    return sorted([*weights.glob("*token*"), *weights.glob("chat_template.jinja")])


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: the prompt's ids, then the completion's, the last of which is the end token."""

    input_ids: list[int]
    prompt_length: int
    cut: bool  # the description was longer than max_response_length and was truncated
    untrained: tuple[tuple[int, int], ...] = ()  # of the completion, tokens [start, end) of input_ids without loss


class Prompter:
    """Prompts for titles, and completions for descriptions, in the ids of one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, params: Params) -> None:
        self.tokenizer = tokenizer
        self._prompt = params.prompt
        self._retrieval = params.retrieval
        self._retrieved_length = params.retrieved_length
        self._max_prompt_length = params.max_prompt_length
        self._max_response_length = params.max_response_length
        self._before, self._after = _frame(tokenizer, params.prompt.plain)
        self._specials = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)

    @property
    def end(self) -> int:
        """The id of the token that ends a completion."""
        return int(self.tokenizer.eos_token_id)

    def question(self, title: str) -> str:
        """The question for a title, chosen by the title's hash: the same in every stage and every run."""
        value = int.from_bytes(hashlib.blake2b(title.encode(), digest_size=8).digest(), "big")
        return self._prompt.questions[value % len(self._prompt.questions)]

    def text(self, question: str, title: str) -> str:
        """The text of a prompt without neighbours, which `prompts` encodes and truncates."""
        return self._text(question, title)

    def prompts(
        self,
        titles: Sequence[str],
        questions: Sequence[str] | None = None,
        neighbours: Sequence[Sequence[Product]] | None = None,
        facts: Sequence[str] | None = None,
    ) -> list[list[int]]:
        """Prompt ids for each title, at most max_prompt_length of them: longer titles are truncated at a word.

        `questions`: one for each title, by default its own. `facts`: the lines of each row, which get what the title
        leaves of max_prompt_length and are truncated at a word. `neighbours`: the products that each prompt shows,
        whose text takes at most retrieval.max_length tokens more and is truncated at a word. UserError when a question
        leaves no room for any title, or prompt.template none for facts.
        """
        chosen = list(questions) if questions is not None else [self.question(title) for title in titles]
        known = self._facts_texts(facts, len(titles))
        shown = list(zip(chosen, titles, known, strict=True))
        prompts = self._encode([self._text(*one) for one in shown])
        for index, ids in enumerate(prompts):
            if len(ids) > self._max_prompt_length:
                prompts[index], shown[index] = self._truncated(*shown[index])
        if neighbours is not None:
            texts = [self.neighbours_text(some) for some in neighbours]
            some = [row for row, text in enumerate(texts) if text]
            whole = self._encode([self._text(*shown[row], texts[row]) for row in some])
            for row, ids in zip(some, whole, strict=True):
                most = len(prompts[row]) + self._retrieved_length
                if len(ids) <= most:
                    prompts[row] = ids
                else:
                    cut = self._longest([self._text(*shown[row], part) for part in _beginnings(texts[row])], most)
                    prompts[row] = cut[1] if cut else prompts[row]
        return prompts

    def _facts_texts(self, facts: Sequence[str] | None, count: int) -> list[str]:
        """What each prompt says of facts: a line break before each line; lines without a value are left out."""
        if facts is None or not any(facts):
            return [""] * count
        if "{facts}" not in self._prompt.template:
            raise UserError(
                "the rows have facts, but prompt.template of params.yaml has no place for them; write {facts} behind "
                "{title}, or take `facts:` out of the catalogue's entry in sources.yaml"
            )
        return [
            "".join(f"\n{line}" for line in self._plain(text).split("\n") if line.partition(": ")[2]) for text in facts
        ]

    def neighbours_text(self, neighbours: Sequence[Product]) -> str:
        """What a prompt says of the neighbours, each description truncated after retrieval.words words."""
        words = self._retrieval.words
        return "".join(
            self._retrieval.template.format(
                title=self._plain(one.title), description=self._plain(" ".join(one.description.split()[:words]))
            )
            for one in neighbours
        )

    def words_shown(self, prompt: Sequence[int], neighbours: Sequence[Product]) -> list[int]:
        """How many words of each neighbour's description stand in a prompt that `prompts` made with them."""
        text, whole = (
            self.tokenizer.decode(list(prompt), clean_up_tokenization_spaces=False),
            self.neighbours_text(neighbours),
        )
        ends = [match.end() for match in re.finditer(r"\S+", whole)]
        fitting = bisect.bisect_left(ends, True, key=lambda end: whole[:end] not in text)
        left = ends[fitting - 1] if fitting else 0
        counts = []
        for one in neighbours:
            block = self.neighbours_text([one])
            before = len(self._retrieval.template.partition("{description}")[0].format(title=self._plain(one.title)))
            most = min(self._retrieval.words, len(one.description.split()))
            counts.append(min(most, len(block[before : max(left, 0)].split())))
            left -= len(block)
        return counts

    def examples(
        self,
        titles: Sequence[str],
        descriptions: Sequence[str],
        neighbours: Sequence[Sequence[Product]] | None = None,
        facts: Sequence[str] | None = None,
    ) -> list[Example]:
        """Training rows: prompt, description and end token; longer descriptions are truncated at a word."""
        prompts = self.prompts(titles, neighbours=neighbours, facts=facts)
        completions = self.completions(descriptions)
        return [
            Example(prompt + completion, len(prompt), cut)
            for prompt, (completion, cut) in zip(prompts, completions, strict=True)
        ]

    def lengths(
        self, titles: Sequence[str], descriptions: Sequence[str], facts: Sequence[str] | None = None
    ) -> list[tuple[int, int]]:
        """Tokens of prompt, facts included, and of response (end token included) before truncation."""
        known = self._facts_texts(facts, len(titles))
        rows = zip(titles, known, strict=True)
        prompts = self._encode([self._text(self.question(title), title, fact) for title, fact in rows])
        responses = self._encode([self._plain(text) for text in descriptions])
        return [(len(prompt), len(response) + 1) for prompt, response in zip(prompts, responses, strict=True)]

    def facts_lengths(self, titles: Sequence[str], facts: Sequence[str]) -> list[int]:
        """Tokens that each prompt's facts take before truncation."""
        pairs = [(self.question(title), title) for title in titles]
        plain = self._encode([self._text(*pair) for pair in pairs])
        known = self._facts_texts(facts, len(titles))
        whole = self._encode([self._text(*pair, fact) for pair, fact in zip(pairs, known, strict=True)])
        return [len(long) - len(short) for short, long in zip(plain, whole, strict=True)]

    def retrieved_lengths(self, titles: Sequence[str], neighbours: Sequence[Sequence[Product]]) -> list[int]:
        """Tokens that each prompt's neighbours take before truncation."""
        pairs = [(self.question(title), title) for title in titles]
        texts = [self.neighbours_text(some) for some in neighbours]
        plain = self._encode([self._text(*pair) for pair in pairs])
        whole = self._encode([self._text(*pair, neighbours=text) for pair, text in zip(pairs, texts, strict=True)])
        return [len(long) - len(short) for short, long in zip(plain, whole, strict=True)]

    def _text(self, question: str, title: str, facts: str = "", neighbours: str = "") -> str:
        message = self._prompt.template.format(
            question=self._plain(question), title=self._plain(title), facts=facts, neighbours=neighbours
        )
        return self._before + message + self._after

    def _plain(self, text: str) -> str:
        """`text` without the tokenizer's special tokens, so that a title cannot end its own turn."""
        while any(token in text for token in self._specials):
            for token in self._specials:
                text = text.replace(token, "")
        return text

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []

    def _truncated(self, question: str, title: str, facts: str) -> tuple[list[int], tuple[str, str, str]]:
        """Prompt ids of what fits of title and facts, and the parts of the prompt: a title is not cut for facts."""
        if facts:
            known = ["", *_beginnings(facts, _WITHIN_VALUE)]
            found = self._longest([self._text(question, title, part) for part in known], self._max_prompt_length)
            if found:
                return found[1], (question, title, known[found[0]])
        # At a word, or between characters where the first word alone is too long.
        for piece in (_WORD, _CHARACTER):
            parts = _beginnings(title, piece)
            found = self._longest([self._text(question, part) for part in parts], self._max_prompt_length)
            if found:
                return found[1], (question, parts[found[0]], "")
        else:
            raise UserError(
                f"the question {question!r} leaves no room for a title within max_prompt_length "
                f"{self._max_prompt_length}: shorten it or raise max_prompt_length"
            )

    def _longest(self, texts: Sequence[str], most: int) -> tuple[int, list[int]] | None:
        """The last of ever longer texts that takes at most `most` tokens, by bisection: its number and its ids."""
        found: tuple[int, list[int]] | None = None
        low, high = 0, len(texts) - 1
        while low <= high:
            middle = (low + high) // 2
            ids = self._encode([texts[middle]])[0]
            if len(ids) <= most:
                found, low = (middle, ids), middle + 1
            else:
                high = middle - 1
        return found

    def completions(self, descriptions: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The ids of each description with the end token, and whether it was truncated (at a word)."""
        return [([*ids, self.end], cut) for _, ids, cut in self.responses(descriptions)]

    def responses(self, descriptions: Sequence[str]) -> list[tuple[str, list[int], bool]]:
        """What is trained of each description: its text, the ids of the text, and whether it was truncated."""
        if not descriptions:
            return []
        limit = self._max_response_length - 1  # the end token is always trained
        texts = [self._plain(text) for text in descriptions]
        encoded = self.tokenizer(texts, add_special_tokens=False)
        responses = [(text, ids, False) for text, ids in zip(texts, encoded["input_ids"], strict=True)]
        for row, (text, ids, _) in enumerate(responses):
            if len(ids) > limit:
                responses[row] = (*self._cut(text, encoded.token_to_chars(row, limit).start, limit), True)
        return responses

    def _cut(self, text: str, end: int, limit: int) -> tuple[str, list[int]]:
        """The most whole words from a text's start that take at most `limit` tokens, and their ids.

        `end`: the character at which the first token over the limit begins.
        """
        inside = not text[end : end + 1].isspace() and not text[end - 1 : end].isspace()
        end = text.rfind(" ", 0, end) if inside and " " in text[:end] else end
        while len(ids := self._encode([text[:end].rstrip()])[0]) > limit:  # truncated, last words may take more tokens
            end = text.rfind(" ", 0, end) if " " in text[:end] else end - 1
        return text[:end].rstrip(), ids


def _beginnings(text: str, piece: re.Pattern[str] = _WORD) -> list[str]:
    """The text up to the end of each of its words, or other pieces, the shortest first."""
    return [text[: match.end()] for match in piece.finditer(text)]


def _frame(tokenizer: PreTrainedTokenizerBase, plain: str) -> tuple[str, str]:
    """The text before and after a message: of the model's chat template, or of `plain` for a model without one."""
    if not tokenizer.chat_template:
        before, after = plain.split("{message}")
        return (tokenizer.bos_token or "") + before, after
    messages: list[dict[str, Any]] = [{"role": "system", "content": ""}, {"role": "user", "content": _MESSAGE}]
    try:  # an empty system message prevents a template's long default one
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception:  # jinja's own error type: the template has no system role
        text = tokenizer.apply_chat_template(messages[1:], tokenize=False, add_generation_prompt=True)
    before, after = str(text).split(_MESSAGE)
    return before, after
