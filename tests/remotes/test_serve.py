"""A merged export behind `transformers serve`: the openai client gets the model's text for a training prompt."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from openai import OpenAI
from transformers import AutoModelForCausalLM

from copywriter import paths
from copywriter.export import merged
from copywriter.prompt import Prompter, load_tokenizer
from stages import train_qlora
from tests.conftest import ROOT, changed
from tests.generation.test_generate import prepare
from tests.support.remotes import free_port

TITLE = "Girls Ballet Tutu Neon Pink"


@pytest.fixture
def address(room: Path) -> Iterator[str]:
    """A server of the folder `merged`, made of a trained adapter."""
    (room / "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
    p = prepare(room, epochs=3, learning_rate=0.02)
    train_qlora.run(p)
    merged.write(paths.ADAPTER, Path("merged"), p)
    port = free_port()
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", "merged", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with Path("server.log").open("w") as log:
        server = subprocess.Popen(
            command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait(server, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def wait(server: "subprocess.Popen[bytes]", address: str) -> None:
    """Waits until the server answers; AssertionError with its log when it ends before."""
    while True:
        assert server.poll() is None, Path("server.log").read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)


def test_the_openai_client_gets_the_models_text(address: str) -> None:
    tokenizer = load_tokenizer(Path("merged"))
    p = changed(max_length=96, max_prompt_length=64)
    question = p.prompt.questions[0]
    (ids,) = Prompter(tokenizer, p).prompts([TITLE], [question])
    message = p.prompt.template.format(question=question, title=TITLE, facts="", neighbours="")
    client = OpenAI(base_url=address, api_key="none")
    answer = client.chat.completions.create(
        model="merged",
        messages=[{"role": "system", "content": ""}, {"role": "user", "content": message}],
        max_tokens=12,
    )
    assert answer.usage and answer.usage.prompt_tokens == len(ids)
    plain: Any = AutoModelForCausalLM.from_pretrained("merged", dtype=torch.bfloat16)
    with torch.inference_mode():
        written = plain.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :]
    assert answer.choices[0].message.content == tokenizer.decode(written, skip_special_tokens=True)
