"""What the server answers at all: an ASGI middleware in front of Gradio.

Gradio has routes for uploads of other servers, files of the host, its programming interface, and more. This page needs
few of them, and past advisories were about the others, so a request outside ALLOWED gets 404 whatever Gradio would say.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_API = "/gradio_api"
ALLOWED = frozenset(
    {
        *(
            "/",
            "/config",
            "/theme.css",
            "/favicon.ico",
            "/robots.txt",
            "/manifest.json",
            "/login",
            "/login/",
            "/logout",
        ),
        *("/report", f"{_API}/theme.css", f"{_API}/startup-events", f"{_API}/queue/join", f"{_API}/queue/data"),
        *(f"{_API}/cancel", f"{_API}/reset", f"{_API}/upload", f"{_API}/upload_progress"),
        *(f"{_API}/login_check", f"{_API}/user", f"{_API}/app_id"),
    }
)
FOLDERS = ("/assets/", "/static/", f"{_API}/heartbeat/")
# Gradio's page has inline scripts and makes functions of texts; nothing may come from, or go to, another host.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """Answers 404 outside ALLOWED and FOLDERS, 403 to other pages' requests, and adds HEADERS to all else."""

    def __init__(self, app: ASGIApp, local: bool) -> None:
        """`local`: the server listens on this machine only, so that another name in Host is a rebound one."""
        self.app = app
        self.local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket: the page has none
            return
        path = scope["path"]
        if path not in ALLOWED and (not path.startswith(FOLDERS) or ".." in path or "\\" in path):
            await PlainTextResponse("not found", 404)(scope, receive, send)
            return
        if refused := self._refused(Headers(scope=scope)):
            await PlainTextResponse(refused, 403)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refused(self, headers: Headers) -> str:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self.local and name not in LOOPBACK:
            return "this page answers on this machine only"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "another page asked"
        return ""
