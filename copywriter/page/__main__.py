"""Serves a page that writes descriptions, for this machine's browser: `python -m copywriter.page`.

It shows the adapter's text beside the base model's, as `ask --compare` does, and turns a table of titles into a table
of texts.
"""

import argparse
import os
import sys
import threading
from pathlib import Path

from copywriter import paths, stage
from copywriter.errors import UserError
from copywriter.page.hosts import check

PASSWORD = "COPYWRITER_PASSWORD"  # a variable of the environment


def _run(options: argparse.Namespace) -> None:
    check(options.host, options.port, options.password)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as ask: waiting threads sleep
    from copywriter.page.server import served  # imports torch: --help and wrong options do not wait for it

    given = (options.weights, options.base, options.host, options.port, options.password)
    with served(*given) as (address, page):
        print(f"page: {address} (loading the models)", file=sys.stderr, flush=True)
        page.worker.loaded()
        print(f"page: ready after {stage.running()[0]:.1f} s; Ctrl-C ends it", file=sys.stderr, flush=True)
        threading.Event().wait()


def main() -> None:
    """Runs the command until it is interrupted; exit code 1 when there is nothing to serve."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.page", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; another one needs --password")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")
    parser.add_argument(
        "--password",
        default=os.environ.get(PASSWORD, ""),
        help=f"asked for with the user name copywriter; better in the variable {PASSWORD}, which others cannot see",
    )
    parser.add_argument(
        "--weights", type=Path, default=paths.ADAPTER, help="folder of the adapter or model (default: models/adapter)"
    )
    parser.add_argument("--no-base", dest="base", action="store_false", help="do not load the base model beside it")
    try:
        _run(parser.parse_args())
    except UserError as error:
        print(f"page: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
