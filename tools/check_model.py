"""Compares models with llama.cpp on the same GGUF file: `python -m tools.check_model NAME ...`; names of sources.yaml.

Token ids of fixed texts must be equal, and the mean NLL of a fixed English text must be within 2%: ours from the stored
weights in float32 before any quantization, llama.cpp's from the file as it is, both on the CPU. Needs xllamacpp
(requirements-dev.txt) and 6 bytes of memory for each parameter. models/base is used where it holds the model.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import requests

from copywriter import paths, sources, stage
from copywriter.errors import UserError
from stages import fetch_model

TOLERANCE = 0.02  # relative; llama.cpp rounds activations to 8 bits, which moves the mean by 0.1 to 0.6%
TEXT = (
    "The kettle on the second shelf is older than the shop that sells it. Its maker, a small workshop near the river, "
    "still presses every lid by hand and checks the spout with a glass of cold water. It holds a litre and a half, "
    "boils in about four minutes, and turns itself off when the water is ready. The handle stays cool because it is "
    "made of beech wood, and the base may stand on gas, on a glass plate or over an open fire. Wash it by hand, dry it "
    "well, and do not leave water in it overnight. Two sizes are available, in red and in plain steel. If a part "
    "breaks within ten years, send us a picture of it, and we will post a new one to you without asking for a receipt. "
    "Many of our customers bought their first kettle here as students and came back years later to buy one for their "
    "children. We think that this says more about it than any list of features could."
)


class LlamaCpp:
    """A GGUF file in llama.cpp, on the CPU."""

    def __init__(self, file: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = 1024, 1, 0
        params.swa_full = True  # keeps all of a sliding window's cache, so that a prompt's beginning is not read again
        params.warmup, params.fit_params, params.verbosity = False, False, 0
        self._server = xllamacpp.Server(params)

    def ids(self, text: str) -> list[int]:
        """The token ids of a text, without tokens before and after it."""
        with requests.Session() as session:
            session.trust_env = False  # loopback: no proxy
            given = {"content": text, "add_special": False, "parse_special": False}
            answer = session.post(f"{self._server.listening_address}/tokenize", json=given, timeout=60)
        found: list[int] = answer.json()["tokens"]
        return found

    def nll(self, ids: Sequence[int]) -> float:
        """Mean negative log-likelihood of all ids but the first, in nats."""
        # The server gives the probability, before sampling, of the token that it chose: a bias makes it choose ours.
        total = 0.0
        for end in range(1, len(ids)):
            wanted = {"prompt": list(ids[:end]), "n_predict": 1, "n_probs": 1, "logit_bias": [[ids[end], 1e6]]}
            answer = self._server.handle_completions({**wanted, "cache_prompt": True, "temperature": 0.0})
            (token,) = answer["choices"][0]["logprobs"]["content"]
            if token["id"] != ids[end] or answer["usage"]["prompt_tokens"] != end:
                raise RuntimeError(f"llama.cpp answered token {token['id']} for {ids[end]} after {end} tokens")
            total -= token["logprob"]
        return total / (len(ids) - 1)


def nll(folder: Path, ids: Sequence[int]) -> float:
    """Mean negative log-likelihood of all ids but the first by the weights of a folder in float32, in nats."""
    import torch

    from copywriter.modeling import loading

    model = loading.load_base(folder, "none", torch.float32, torch.device("cpu")).eval()  # type: ignore[no-untyped-call]
    given = torch.tensor([list(ids)])
    with torch.inference_mode():
        return float(model(input_ids=given, labels=given).loss)


def compare(file: Path, folder: Path) -> tuple[list[str], float, float]:
    """Texts whose ids differ, then the mean NLL of TEXT by the weights of `folder` and by llama.cpp from `file`."""
    from copywriter import prompt, tokenizer_check

    engine, tokenizer = LlamaCpp(file), prompt.load_tokenizer(folder)

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    other = [text for text in (*tokenizer_check.TEXTS, TEXT) if ids(text) != engine.ids(text)]
    start = [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]
    return other, nll(folder, [*start, *ids(TEXT)]), engine.nll([*start, *ids(TEXT)])


def check(name: str) -> str:
    """A line of figures for the model `name` of sources.yaml; UserError when it differs from llama.cpp's."""
    entry = sources.model(name)
    file = fetch_model.published(name, entry)
    if not file.is_file():
        raise UserError(f"model {name} is not published as a GGUF file, which llama.cpp reads; name one that is")
    with tempfile.TemporaryDirectory() as scratch:
        folder, pin = paths.BASE, paths.BASE / fetch_model.PIN
        if not pin.exists() or json.loads(pin.read_text())["source"] != fetch_model.source(entry):
            folder = Path(scratch) / "base"
            fetch_model.fetch_model(name, entry, folder)
        other, ours, theirs = compare(file, folder)
    line = f"{name}: NLL {ours:.4f}, llama.cpp {theirs:.4f} ({ours / theirs - 1:+.2%})"
    if other:
        raise UserError(f"{line}; {len(other)} texts have other token ids, first {other[0]!r}; please report it")
    if abs(ours / theirs - 1) > TOLERANCE:
        raise UserError(f"{line}, which is more than {TOLERANCE:.0%} apart; please report it")
    return f"{line}, equal token ids"


def run(names: Sequence[str]) -> str:
    """Checks the models one after another and prints a line for each; a summary."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise UserError("xllamacpp is not installed; run 'pip install -r requirements-dev.txt'")
    for name in names:
        print(f"check_model: {check(name)}", file=sys.stderr)
    return f"{len(names)} models agree with llama.cpp"


def main() -> None:
    """Wires the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_model", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args()
    stage.run("check_model", lambda: run(options.names))


if __name__ == "__main__":
    main()
