"""Prompts and training examples as token ids: the one source for length analysis, training, evaluation and `ask`."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from copywriter import errors, paths
from copywriter.errors import UserError
from copywriter.params import Params
from copywriter.records import Product

_MESSAGE = "\u2402message\u2403"  # placeholder: the chat template is rendered once around it


def load_tokenizer(weights: Path) -> PreTrainedTokenizerBase:
    """The tokenizer stored with the weights; its eos_token ends a turn."""
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

    def prompts(
        self,
        titles: Sequence[str],
        questions: Sequence[str] | None = None,
        neighbours: Sequence[Sequence[Product]] | None = None,
    ) -> list[list[int]]:
        """Prompt ids for each title, at most max_prompt_length of them: longer titles are truncated at a word.

        `questions`: one for each title, by default its own. `neighbours`: the products that each prompt shows, whose
        text takes at most retrieval.max_length tokens more and is truncated at a word. UserError when a question leaves
        no room for any title.
        """
        chosen = list(questions) if questions is not None else [self.question(title) for title in titles]
        shown = list(titles)
        prompts = self._encode([self._text(q, t) for q, t in zip(chosen, titles, strict=True)])
        for index, ids in enumerate(prompts):
            if len(ids) > self._max_prompt_length:
                prompts[index], shown[index] = self._truncated(chosen[index], titles[index])
        if neighbours is not None:
            texts = [self.neighbours_text(some) for some in neighbours]
            some = [row for row, text in enumerate(texts) if text]
            whole = self._encode([self._text(chosen[row], shown[row], texts[row]) for row in some])
            for row, ids in zip(some, whole, strict=True):
                most = len(prompts[row]) + self._retrieved_length
                if len(ids) <= most:
                    prompts[row] = ids
                else:
                    text = texts[row]
                    ends = [match.end() for match in re.finditer(r"\S+", text)]
                    cut = self._longest([self._text(chosen[row], shown[row], text[:end]) for end in ends], most)
                    prompts[row] = cut[1] if cut else prompts[row]
        return prompts

    def neighbours_text(self, neighbours: Sequence[Product]) -> str:
        """What a prompt says of the neighbours, each description truncated after retrieval.words words."""
        words = self._retrieval.words
        return "".join(
            self._retrieval.template.format(
                title=self._plain(one.title), description=self._plain(" ".join(one.description.split()[:words]))
            )
            for one in neighbours
        )

    def examples(
        self,
        titles: Sequence[str],
        descriptions: Sequence[str],
        neighbours: Sequence[Sequence[Product]] | None = None,
    ) -> list[Example]:
        """Training rows: prompt, description and end token; longer descriptions are truncated at a word."""
        completions = self._completions(descriptions)
        return [
            Example(prompt + completion, len(prompt), cut)
            for prompt, (completion, cut) in zip(self.prompts(titles, neighbours=neighbours), completions, strict=True)
        ]

    def lengths(self, titles: Sequence[str], descriptions: Sequence[str]) -> list[tuple[int, int]]:
        """Tokens of prompt and of response (end token included) before truncation."""
        prompts = self._encode([self._text(self.question(title), title) for title in titles])
        responses = self._encode([self._plain(text) for text in descriptions])
        return [(len(prompt), len(response) + 1) for prompt, response in zip(prompts, responses, strict=True)]

    def retrieved_lengths(self, titles: Sequence[str], neighbours: Sequence[Sequence[Product]]) -> list[int]:
        """Tokens that each prompt's neighbours take before truncation."""
        pairs = [(self.question(title), title) for title in titles]
        texts = [self.neighbours_text(some) for some in neighbours]
        plain = self._encode([self._text(*pair) for pair in pairs])
        whole = self._encode([self._text(*pair, text) for pair, text in zip(pairs, texts, strict=True)])
        return [len(long) - len(short) for short, long in zip(plain, whole, strict=True)]

    def _text(self, question: str, title: str, neighbours: str = "") -> str:
        message = self._prompt.template.format(
            question=self._plain(question), title=self._plain(title), neighbours=neighbours
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

    def _truncated(self, question: str, title: str) -> tuple[list[int], str]:
        """Prompt ids of the longest beginning of the title that fits, and that beginning."""
        # At a word, or between characters where the first word alone is too long.
        ends: Sequence[int]
        for ends in ([match.end() for match in re.finditer(r"\S+", title)], range(1, len(title) + 1)):
            found = self._longest([self._text(question, title[:end]) for end in ends], self._max_prompt_length)
            if found:
                return found[1], title[: ends[found[0]]]
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

    def _completions(self, descriptions: Sequence[str]) -> list[tuple[list[int], bool]]:
        if not descriptions:
            return []
        limit = self._max_response_length - 1  # the end token is always trained
        texts = [self._plain(text) for text in descriptions]
        encoded = self.tokenizer(texts, add_special_tokens=False)
        completions: list[list[int]] = list(encoded["input_ids"])
        long = [row for row, ids in enumerate(completions) if len(ids) > limit]
        starts = [encoded.token_to_chars(row, limit).start for row in long]
        for row, ids in zip(long, self._cut([texts[row] for row in long], starts, limit), strict=True):
            completions[row] = ids
        cut = set(long)
        return [([*ids, self.end], row in cut) for row, ids in enumerate(completions)]

    def _cut(self, texts: list[str], starts: list[int], limit: int) -> list[list[int]]:
        """For each text the ids of the most whole words from its start that take at most `limit` tokens.

        `starts`: the character at which the first token over the limit begins.
        """
        ends = []
        for text, end in zip(texts, starts, strict=True):
            inside = not text[end : end + 1].isspace() and not text[end - 1 : end].isspace()
            ends.append(text.rfind(" ", 0, end) if inside and " " in text[:end] else end)
        found = self._encode([text[:end].rstrip() for text, end in zip(texts, ends, strict=True)])
        for row, (text, end) in enumerate(zip(texts, ends, strict=True)):
            while len(found[row]) > limit:  # truncated, a text's last words may take more tokens than before
                end = text.rfind(" ", 0, end) if " " in text[:end] else end - 1
                found[row] = self._encode([text[:end].rstrip()])[0]
        return found


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
