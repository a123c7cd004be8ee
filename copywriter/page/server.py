"""Serves the page on this machine, or elsewhere behind a password."""

import contextlib
import hmac
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from copywriter import params, paths
from copywriter.page import answering
from copywriter.page.guard import Guard
from copywriter.page.hosts import LOOPBACK, USER, check
from copywriter.page.layout import HERE, Page
from copywriter.page.messages import Messages, language
from copywriter.page.title_tables import MAX_BYTES
from copywriter.page.worker import Worker


@contextlib.contextmanager
def served(
    weights: Path = paths.ADAPTER, base: bool = True, host: str = "127.0.0.1", port: int = 7860, password: str = ""
) -> Iterator[tuple[str, Page]]:
    """The page's address and the page, while it is served; its models may still be loading.

    UserError when there is no model, the port is taken, or others could reach the page without a password. Uploads go
    to a folder of their own, which is removed.
    """
    check(host, port, password)
    p = params.load()
    folders = answering.folders(weights, base)
    worker = Worker(lambda: answering.load(folders))
    with tempfile.TemporaryDirectory(prefix="copywriter-page-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = Page(worker, folders, p, Messages(language()), Path(uploads))
        app, address, _ = page.blocks.launch(
            server_name=host,
            server_port=port,
            auth=_right(password) if password else None,
            auth_message=page.say("login", user=USER),
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            footer_links=[],
            allowed_paths=[],
            blocked_paths=[str(Path.cwd()), str(Path.home())],
            max_file_size=2 * MAX_BYTES,
            state_session_capacity=200,
            app_kwargs={"middleware": [Middleware(Guard, local=host in LOOPBACK)]},
            theme=_theme(),
            css=(HERE / "style.css").read_text(encoding="utf-8"),
            head=_head(page.say.language),
        )
        app.add_route("/report", _report(app, page, bool(password)))
        try:
            yield address, page
        finally:
            page.blocks.close(verbose=False)


def _theme() -> gr.Theme:
    """Gradio's look with the system's fonts, and a button dark enough for its white text."""
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    dark_orange, darker = "#b8420c", "#9a3412"
    return theme.set(
        button_primary_background_fill=dark_orange,
        button_primary_background_fill_dark=dark_orange,
        button_primary_background_fill_hover=darker,
        button_primary_background_fill_hover_dark=darker,
    )


def _head(chosen: str) -> str:
    """The page's script, and its language for screen readers."""
    script = (HERE / "script.js").read_text(encoding="utf-8")
    return f"<script>{script}\ndocument.documentElement.lang = {chosen!r};</script>"


def _right(password: str):  # type: ignore[no-untyped-def]
    def right(user: str, given: str) -> bool:
        return user == USER and hmac.compare_digest(given.encode(), password.encode())

    return right


def _report(app: App, page: Page, locked: bool):  # type: ignore[no-untyped-def]
    """The route of metrics/report.html, behind Gradio's log-in where there is one."""

    def report(request: Request) -> Response:
        cookies = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
        if locked and not any(app.tokens.get(request.cookies.get(name)) for name in cookies):
            return PlainTextResponse(page.say("login", user=USER), 401)
        if not paths.REPORT_PAGE.exists():
            return PlainTextResponse(page.say("no_report"), 404)
        return FileResponse(paths.REPORT_PAGE, media_type="text/html")

    return report
