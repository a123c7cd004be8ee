"""The Modelfile: its template asks with the prompt of the training, whatever characters a prompt has."""

import json
import re
from typing import Any

import pytest

from copywriter import paths
from copywriter.export import modelfile
from copywriter.prompt import Prompter, load_tokenizer
from tests.conftest import changed


def template(content: str) -> str:
    """The template of a Modelfile."""
    (found,) = re.findall(r'^TEMPLATE """(.*?)"""$', content, re.M | re.S)
    return str(found)


def filled(content: str, prompt: str) -> str:
    """What Go's template language makes of the Modelfile's template."""

    def value(action: re.Match[str]) -> str:
        return prompt if action[1] == ".Prompt" else str(json.loads(action[1]))

    return re.sub(r'\{\{ (\.Prompt|"(?:[^"\\]|\\.)*") \}\}', value, template(content))


@pytest.mark.parametrize(
    "question",
    ["Describe this item.", 'Say """it""" in {{ braces }}.', 'The \\ of "this"', "Descreva-o: \u00e9 isto\u2026"],
)
@pytest.mark.parametrize("form", ["{question}\nTitle: {title}{neighbours}", '{neighbours}"{title}" {question}"'])
def test_the_template_gives_the_trained_prompt(room: Any, question: str, form: str) -> None:
    p = changed(prompt__questions=[question], prompt__template=form)
    tokenizer = load_tokenizer(paths.BASE)
    content = modelfile.text("a.gguf", tokenizer, p, "A notice.\n")
    (ids,) = Prompter(tokenizer, p).prompts(["Steel bucket"])
    assert tokenizer(filled(content, "Steel bucket"), add_special_tokens=False)["input_ids"] == ids
    assert content.count('"""') == 4  # the template's and the licence's


def test_decoding_and_stop_token_are_those_of_the_adapter(room: Any) -> None:
    p = changed(decoding__max_new_tokens=3000)
    lines = modelfile.text("a.gguf", load_tokenizer(paths.BASE), p, "A notice.\n").splitlines()
    assert "FROM ./a.gguf" in lines
    settings = dict(line.split(" ", 2)[1:] for line in lines if line.startswith("PARAMETER "))
    context = str(p.max_prompt_length + 3000)
    assert settings == {
        "stop": '"<|end|>"',
        "temperature": "0",
        "repeat_penalty": "1.0",
        "num_predict": "3000",
        "num_ctx": context,
    }


def test_what_ollama_cannot_do_is_said_in_the_file(room: Any) -> None:
    tokenizer = load_tokenizer(paths.BASE)
    both = modelfile.text("a.gguf", tokenizer, changed(retrieval__neighbours=2), "")
    assert "# The adapter was trained with 2 similar products" in both
    assert "repetition_penalty 1.05 and no_repeat_ngram_size 4" in both
    plain = changed(decoding__no_repeat_ngram_size=0, decoding__repetition_penalty=1.0)
    neither = modelfile.text("a.gguf", tokenizer, plain, "")
    assert "similar products" not in neither
    assert "repetition_penalty" not in neither
