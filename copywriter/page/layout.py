"""The page's form and what its buttons do, with Gradio."""

import json
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from copywriter import params, paths, records
from copywriter.ask import MOST_WORDS
from copywriter.errors import UserError
from copywriter.page import answering, title_tables, view
from copywriter.page.answering import MAX_FACTS, MAX_QUESTION, MAX_TITLE, Asked, Models, Shown
from copywriter.page.messages import Messages
from copywriter.page.title_tables import Progress, TitleTable
from copywriter.page.worker import StoppedError, Worker

HERE = Path(__file__).parent
_EXAMPLES = 6
_EXAMPLE_CHARACTERS = 80


def example_titles() -> list[str]:
    """The first short titles of the test set; none where it is missing."""
    if not paths.TEST.exists():
        return []
    short = (row.title for row in records.iterate_products(paths.TEST) if len(row.title) <= _EXAMPLE_CHARACTERS)
    return list(dict.fromkeys(islice(short, _EXAMPLES)))


def notices(say: Messages, weights: dict[str, Path], p: params.Params) -> list[str]:
    """What is missing, as HTML."""
    found = [say("no_adapter")] if paths.ADAPTER not in weights.values() and not paths.ADAPTER.exists() else []
    if p.retrieval.neighbours and not paths.TRAIN.exists():
        found.append(say("no_index"))
    return found


class Page:
    """The Gradio blocks, and what they do with the worker's results."""

    def __init__(
        self, worker: Worker[Models], weights: dict[str, Path], p: params.Params, say: Messages, uploads: Path
    ) -> None:
        """Builds the form; the models may still be loading. `uploads`: the only folder of which files are read."""
        self.uploads = uploads
        self.worker = worker
        self.names = list(weights)
        self.facts = answering.fact_names(weights)
        self.say = say
        with gr.Blocks(title="Copywriter", analytics_enabled=False, delete_cache=(600, 600)) as self.blocks:
            gr.HTML(f"<h1>Copywriter</h1><p>{escape(say('subtitle', model=p.model))}</p>")
            for one in notices(say, weights, p):
                gr.HTML(view.notice(one))
            with gr.Tab(say("one")):
                self._one_product(p)
            with gr.Tab(say("table")):
                self._table(p)
            with gr.Tab(say("scores")):
                gr.HTML(lambda: view.score_table(say))
        self.blocks.queue(default_concurrency_limit=None, api_open=False)  # the worker has the queue

    def _one_product(self, p: params.Params) -> None:
        say = self.say
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=280):
                examples = example_titles()
                hint = say("title_hint", example=examples[0]) if examples else None
                title = gr.Textbox(
                    label=say("title"), placeholder=hint, max_length=MAX_TITLE, autofocus=True, elem_id="title"
                )
                known = say("facts_any") if self.facts is None else say("facts_known", names=", ".join(self.facts))
                facts = gr.Textbox(
                    label=say("facts"),
                    info=known,
                    lines=2,
                    max_length=MAX_FACTS,
                    visible=self.facts != [],
                    elem_id="facts",
                )
                compare = gr.Checkbox(len(self.names) > 1, label=say("compare"), visible=len(self.names) > 1)
                with gr.Accordion(say("settings"), open=False):
                    question = gr.Textbox(
                        label=say("question"), placeholder=say("question_hint"), max_length=MAX_QUESTION
                    )
                    best = gr.Checkbox(False, label=say("best", count=p.decoding.candidates))
                    temperature = gr.Slider(0, 1.5, 0, step=0.1, label=say("temperature"))
                    words = gr.Slider(0, MOST_WORDS, 0, step=5, label=say("words"))
                    seed = gr.Number(0, label=say("seed"), precision=0, minimum=0, maximum=2**31)
                with gr.Row():
                    write = gr.Button(say("write"), variant="primary", elem_id="write", min_width=100)
                    stop = gr.Button(say("stop"), elem_id="stop", min_width=100)
                if examples:
                    samples = gr.Dataset(components=[title], samples=[[one] for one in examples], label=say("examples"))
                    samples.click(lambda sample: sample[0], samples, title, api_visibility="private")
            with gr.Column(scale=5, min_width=280):
                status = gr.HTML(view.status(""), elem_id="status")
                with gr.Row(elem_classes="columns"):
                    panels = [
                        gr.HTML(view.panel(say, name, None), elem_id=f"panel-{name}", min_width=260)
                        for name in self.names
                    ]
                with gr.Row():
                    for name in self.names:
                        gr.Button(say(f"copy_{name}"), size="sm", elem_id=f"copy-{name}").click(
                            None, js=f"() => copywriter.copy('text-{name}')"
                        )
                    gr.Button(say("download_jsonl"), size="sm", elem_id="download-jsonl").click(
                        None, js="() => copywriter.download('descriptions.jsonl')"
                    )
                sources = gr.HTML("", elem_id="sources")
                gr.HTML(f'<p class="notes">{say("check")}</p>')
                row = gr.Textbox(visible="hidden", elem_id="row")
        row.change(None, row, js="(row) => copywriter.keep(row)")
        inputs = [title, facts, question, compare, best, temperature, words, seed]
        gr.on(
            [write.click, title.submit],
            self._write,
            inputs,
            [status, *panels, sources, row],
            show_progress="hidden",
            api_visibility="private",
        )
        stop.click(self._stop, api_visibility="private")

    def _table(self, p: params.Params) -> None:
        say = self.say
        used = say("table_facts", names=", ".join(self.facts)) if self.facts else ""
        hint = say("table_hint", rows=title_tables.MAX_ROWS, megabytes=title_tables.MAX_BYTES // 10**6, facts=used)
        gr.HTML(f"<p>{escape(hint)}</p>")
        file = gr.File(label=say("file"), file_types=list(title_tables.SUFFIXES), height=140, elem_id="file")
        read = gr.HTML("", elem_id="read")
        best = gr.Checkbox(False, label=say("best", count=p.decoding.candidates))
        with gr.Row():
            write = gr.Button(say("write_table"), variant="primary", elem_id="write-table")
            stop = gr.Button(say("stop"), elem_id="stop-table")
            download = gr.Button(say("download_csv"), elem_id="download-csv")
        progress = gr.HTML("", elem_id="progress")
        table = gr.State(None, time_to_live=3600)
        result = gr.Textbox(visible="hidden", elem_id="csv")
        file.upload(self._read_table, file, [file, read, table, result, progress], api_visibility="private")
        write.click(
            self._write_table, [table, best], [progress, result], show_progress="hidden", api_visibility="private"
        )
        stop.click(self._stop, api_visibility="private")
        download.click(None, result, js="(csv) => copywriter.save('descriptions.csv', csv, 'text/csv')")

    async def _write(
        self,
        title: str,
        facts: str,
        question: str,
        compare: bool,
        best: bool,
        temperature: float,
        words: float,
        seed: float,
        request: gr.Request,
    ) -> AsyncIterator[Sequence[Any]]:
        say = self.say
        same = [gr.skip()] * (len(self.names) + 2)
        yield [view.status(say("waiting")), *same]
        length = min(max(int(words or 0), 0), MOST_WORDS) or None
        options = {"temperature": min(max(temperature or 0.0, 0.0), 1.5), "seed": int(seed or 0), "words": length}
        asked = Asked(title or "", facts or "", question or "", compare, best, options)
        write: Callable[[Models], Iterator[Shown]] = lambda models: answering.write(models, asked, self.facts)  # noqa: E731
        try:
            async for shown in self.worker.results(write, request.session_hash):
                yield self._shown(shown) if shown else [gr.skip(), *same]
        except Exception as error:
            yield [self._ended(error), *same]

    def _stop(self, request: gr.Request) -> None:
        self.worker.stop(request.session_hash)

    def _shown(self, shown: Shown) -> list[Any]:
        say = self.say
        panels = [
            view.panel(say, name, shown.panels[name]) if name in shown.panels else view.panel(say, name, None)
            for name in self.names
        ]
        row = gr.skip() if shown.row is None else json.dumps(shown.row, ensure_ascii=False)
        status = view.status(say("writing" if shown.row is None else "finished"))
        return [status, *panels, view.sources(say, shown.sources), row]

    def _ended(self, error: Exception) -> str:
        """The line for a request that got no text, or only a part of it."""
        if isinstance(error, StoppedError):
            return view.status(self.say("stopped"))
        if isinstance(error, UserError):
            return view.status(f"{error}.", problem=True)
        traceback.print_exception(error, file=sys.stderr)
        return view.status(self.say("failed"), problem=True)

    def _read_table(self, path: str) -> Sequence[Any]:
        file = Path(path)
        if self.uploads.resolve() not in file.resolve().parents:  # Gradio refuses it, too
            return [None, view.status(self.say("failed"), problem=True), None, "", ""]
        try:
            table = title_tables.read(file, file.name)
            return [None, view.uploaded(self.say, table), table, "", ""]
        except Exception as error:
            return [None, self._ended(error), None, "", ""]
        finally:
            file.unlink(missing_ok=True)  # the rows are in memory now

    async def _write_table(
        self, table: TitleTable | None, best: bool, request: gr.Request
    ) -> AsyncIterator[Sequence[Any]]:
        if table is None:
            yield [view.status(self.say("no_table"), problem=True), ""]
            return
        yield [view.status(self.say("waiting")), ""]
        write: Callable[[Models], Iterator[Progress]] = lambda models: title_tables.write(  # noqa: E731
            models, table, best, self.facts
        )
        shown = ""
        try:
            async for one in self.worker.results(write, request.session_hash, pausable=True):
                if one:
                    shown = view.progress(self.say, one, table)
                    yield [shown, title_tables.as_csv(table, one.lines)]
                else:
                    yield [gr.skip(), gr.skip()]
        except Exception as error:
            yield [self._ended(error) + shown, gr.skip()]
