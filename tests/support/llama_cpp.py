"""A GGUF file in llama.cpp, within this process: what programs that read the export compute."""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xllamacpp

# No sampling, no penalty: the most likely token, whatever the server's defaults are.
GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "dry_multiplier": 0}
_FORCED = 1e6  # a bias that lets one token win against all logits


class Completion(NamedTuple):
    """A text that llama.cpp wrote, its token ids without the end token, and whether it ended it itself."""

    text: str
    tokens: list[int]
    stopped: bool


class LlamaCpp:
    """A loaded GGUF file; ends with the process. Its HTTP server listens on 127.0.0.1."""

    def __init__(self, file: Path, context: int = 2048, threads: int = 1) -> None:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(file)
        settings.n_ctx, settings.n_parallel = context, 1
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
        settings.warmup = settings.fit_params = False
        settings.cache_ram_mib = settings.n_ctx_checkpoints = 0
        settings.verbosity = 0
        self._server = xllamacpp.Server(settings)
        self._letter = self.tokens("a")[-1]

    def tokens(self, text: str) -> list[int]:
        """The ids that llama.cpp reads a prompt's text as, special tokens included."""
        found: list[int] = self._post("/tokenize", {"content": text, "add_special": True, "parse_special": True})[
            "tokens"
        ]
        return found

    def chat_prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """The text that the file's own chat template makes of messages."""
        return str(self._post("/apply-template", {"messages": list(messages)})["prompt"])

    def complete(self, prompt: str | Sequence[int], most: int, **settings: Any) -> Completion:
        """The text after `prompt`, of at most `most` tokens, greedy unless `settings` say otherwise."""
        asked = {"prompt": prompt, "n_predict": most, "return_tokens": True, **GREEDY, **settings}
        answer = self._post("/completion", asked)
        return Completion(answer["content"], answer["tokens"], answer["stop_type"] in ("eos", "word"))

    def nll(self, ids: Sequence[int], prompt_length: int) -> float:
        """Nats: -log probability of ids[prompt_length:], each given the tokens before it."""
        return -sum(self._log_probability(ids[:at], ids[at]) for at in range(prompt_length, len(ids)))

    def _log_probability(self, before: Sequence[int], token: int) -> float:
        """The server tells that of the token that it chose, and biases do not change it."""
        asked: dict[str, Any] = {"prompt": before, "n_predict": 1, "n_probs": 1, **GREEDY}
        answer = self._post("/completion", asked | {"logit_bias": [[token, _FORCED]]})
        if (
            "completion_probabilities" not in answer
        ):  # it keeps back a part of a character: choose a letter, ask for all
            asked |= {"logit_bias": [[self._letter, _FORCED]], "n_probs": 10**6}
            answer = self._post("/completion", asked)
        (one,) = answer["completion_probabilities"]
        return float(next(each["logprob"] for each in [one, *one["top_logprobs"]] if each["id"] == token))

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
