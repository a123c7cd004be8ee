"""The worker: one job at a time in order, pauses, failures and callers that leave; and the page's languages."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from string import Formatter

import pytest

from copywriter.errors import UserError
from copywriter.page import messages
from copywriter.page.messages import LANGUAGES, Messages, language
from copywriter.page.worker import StoppedError, Worker


async def everything(found: AsyncIterator[object]) -> list[object]:
    return [one async for one in found if one is not None]


def test_single_titles_pass_a_table_between_its_groups_and_never_overlap() -> None:
    worker = Worker(lambda: "models")
    steps: list[str] = []
    single_waits = threading.Event()

    def table(_: str) -> Iterator[int]:
        for number in range(3):
            steps.append(f"group {number}")
            single_waits.wait(30)
            yield number

    def single(models: str) -> Iterator[str]:
        assert models == "models"
        for part in "ab":
            steps.append(part)
            yield part

    async def run() -> None:
        slow = asyncio.create_task(everything(worker.results(table, pausable=True)))
        while not steps:
            await asyncio.sleep(0)
        fast = asyncio.create_task(everything(worker.results(single)))
        await asyncio.sleep(0)  # it has joined
        single_waits.set()
        assert (await fast)[-1] == "b"
        assert (await slow)[-1] == 2

    asyncio.run(run())
    assert steps == ["group 0", "a", "b", "group 1", "group 2"]
    assert worker.wait_until_idle(30)


def test_a_failure_reaches_its_caller_and_the_next_job_runs() -> None:
    worker = Worker(lambda: 7)

    def bad(_: int) -> Iterator[int]:
        yield 1
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        asyncio.run(everything(worker.results(bad)))
    assert asyncio.run(everything(worker.results(lambda models: iter([models])))) == [7]


def test_models_that_cannot_be_loaded_are_reported_to_all() -> None:
    def load() -> int:
        raise UserError("models/base is damaged")

    worker = Worker(load)
    with pytest.raises(UserError, match="damaged"):
        worker.loaded(30)
    for _ in range(2):
        with pytest.raises(UserError, match="damaged"):
            asyncio.run(everything(worker.results(lambda models: iter([models]))))


def test_a_caller_that_leaves_ends_its_job_and_one_that_waits_never_starts() -> None:
    worker = Worker(lambda: 0)
    closed, started = threading.Event(), threading.Event()

    def endless(_: int) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    def late(_: int) -> Iterator[int]:
        started.set()
        yield 1

    async def run() -> None:
        first = worker.results(endless)
        assert await anext(first) == 1
        second = asyncio.create_task(everything(worker.results(late)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await first.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())
    assert closed.wait(30)
    assert worker.wait_until_idle(30)
    assert not started.is_set()


def test_stop_ends_the_jobs_of_its_key_alone_and_a_full_queue_refuses() -> None:
    worker = Worker(lambda: 0, most=2)
    go_on = threading.Event()

    def held(_: int) -> Iterator[int]:
        go_on.wait(30)
        yield 1

    async def run() -> None:
        mine, yours = (asyncio.create_task(everything(worker.results(held, key))) for key in ("mine", "yours"))
        await asyncio.sleep(0)
        with pytest.raises(UserError, match="2 others are waiting"):
            await everything(worker.results(held))
        worker.stop("mine")
        with pytest.raises(StoppedError):
            await mine
        go_on.set()
        assert await yours == [1]

    asyncio.run(run())
    assert worker.wait_until_idle(30)


def test_the_language_is_the_locales(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "pt_BR.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    assert language() == "pt"
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert language() == "en"


def test_both_languages_fill_in_the_same_values_and_markup() -> None:
    for key, texts in messages._TEXTS.items():
        assert len(texts) == len(LANGUAGES)
        fields = [sorted(name or "" for _, name, _, _ in Formatter().parse(text) if name) for text in texts]
        tags = [sorted(re.findall(r"</?\w+>", text)) for text in texts]
        assert fields[0] == fields[1] and tags[0] == tags[1], key
    assert Messages("pt")("stop") == "Parar"
