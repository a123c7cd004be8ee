"""Ollama's Modelfile: the prompt of the training as a template, the token that stops, the decoding parameters."""

import json

from transformers import PreTrainedTokenizerBase

from copywriter.export import gguf_tokenizer
from copywriter.params import Params
from copywriter.prompt import Prompter

_TITLE = "\u2402title\u2403"  # placeholder: a prompt's text is made once around it
_LEAST_CONTEXT = 2048  # tokens; Ollama's own default was this for long


def frame(tokenizer: PreTrainedTokenizerBase, p: Params) -> tuple[str, str]:
    """The text of a prompt before and after the title, with the first question and without neighbours."""
    before, after = Prompter(tokenizer, p).text(p.prompt.questions[0], _TITLE).split(_TITLE)
    return before, after


def chat_template(tokenizer: PreTrainedTokenizerBase, plain: str) -> str:
    """The base's chat template; for a base without one, a template of the frame `plain` around the last message."""
    if tokenizer.chat_template:
        return str(tokenizer.get_chat_template())
    before, after = plain.split("{message}")
    strings = [json.dumps(one, ensure_ascii=False) for one in ((tokenizer.bos_token or "") + before, after)]
    return f"{{{{ {strings[0]} + messages[-1]['content'] + {strings[1]} }}}}"


def text(file: str, tokenizer: PreTrainedTokenizerBase, p: Params, notice: str) -> str:
    """The Modelfile for a GGUF file beside it; `notice`: origin and licences."""
    before, after = frame(tokenizer, p)
    if gguf_tokenizer.adds_bos(tokenizer, before):
        before = before.removeprefix(str(tokenizer.bos_token))
    lines = [
        "# ollama create my-shop -f Modelfile && ollama run my-shop 'Steel bucket'",
        "# The prompt is a product's title alone; the template adds the first of the questions that were trained.",
    ]
    if p.retrieval.neighbours:
        lines.append(
            f"# The adapter was trained with {p.retrieval.neighbours} similar products in its prompts. A template "
            "cannot look them up: these prompts have none."
        )
    if p.decoding.no_repeat_ngram_size or p.decoding.repetition_penalty != 1:
        lines.append(
            f"# It was scored with repetition_penalty {p.decoding.repetition_penalty} and no_repeat_ngram_size "
            f"{p.decoding.no_repeat_ngram_size}. Ollama has no such ban, and its penalty also lowers the tokens of the "
            "prompt, such as the one that ends a turn: with it texts ran on."
        )
    context = max(_LEAST_CONTEXT, p.longest_prompt + p.decoding.max_new_tokens)
    lines += [
        f"FROM ./{file}",
        f'TEMPLATE """{_escaped(before)}{{{{ .Prompt }}}}{_escaped(after)}"""',
        f"PARAMETER stop {json.dumps(tokenizer.eos_token, ensure_ascii=False)}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1.0",
        f"PARAMETER num_predict {p.decoding.max_new_tokens}",
        f"PARAMETER num_ctx {context}",
        f'LICENSE """{notice}"""',
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """`text` in a Go template between three quotation marks: a string of the template language where it must be."""
    if text.endswith('"') or any(mark in text for mark in ("{{", "}}", '"""')):
        return "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
    return text
