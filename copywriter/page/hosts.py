"""Where the page may listen: on this machine, or elsewhere behind a password."""

import socket

from copywriter.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
USER = "copywriter"
SHORTEST_PASSWORD = 8


def check(host: str, port: int, password: str) -> None:
    """UserError where others could reach the page without a password, or guess it, or the port is taken."""
    if host not in LOOPBACK and not password:
        raise UserError(
            f"--host {host} lets other machines reach the page; add --password, or stay on 127.0.0.1 and use ssh -L"
        )
    if password and len(password) < SHORTEST_PASSWORD:
        raise UserError(f"the password has {len(password)} characters; give at least {SHORTEST_PASSWORD}")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except (OSError, OverflowError):
            raise UserError(f"port {port} of {host} cannot be used; choose another with --port") from None
