"""Merges the adapter into the base model, for use without this project.

`python -m copywriter.export merged DIR` writes a folder for transformers and compatible programs, and
`python -m copywriter.export gguf DIR` files for llama.cpp and compatible programs.
"""

import argparse
import sys
from pathlib import Path

from copywriter import params, paths
from copywriter.errors import UserError
from copywriter.export import gguf_files, merged

FORMS = {"merged": merged.write, "gguf": gguf_files.write}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m copywriter.export", description=__doc__)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--adapter", type=Path, default=paths.ADAPTER)
    options = parser.parse_args()
    try:
        print(f"export: {FORMS[options.form](options.adapter, options.folder, params.load())}", file=sys.stderr)
    except UserError as error:
        print(f"export: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
