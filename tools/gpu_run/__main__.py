"""The command line."""

import argparse
from pathlib import Path

from copywriter import stage
from tools import gpu_run
from tools.gpu_run import archive, home, packing, ssh, there


def options() -> argparse.ArgumentParser:
    """What can be typed."""
    top = argparse.ArgumentParser(
        prog="python -m tools.gpu_run",
        description=gpu_run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    packed, whole = argparse.ArgumentParser(add_help=False), commands.add_parser
    packed.add_argument(
        "--experiment", action="append", metavar="NAME:KEY=VALUE,...", help="default: tuned, base:epochs=0"
    )
    packed.add_argument("--with-base", action="store_true", help="carry models/base; else the host makes it")
    parted = argparse.ArgumentParser(add_help=False)
    parted.add_argument("--part-size", type=archive.size, metavar="55M", help="several files, none larger than this")
    committed = argparse.ArgumentParser(add_help=False)
    committed.add_argument("--commit", nargs="+", default=[], metavar="NAME", help="one commit each, in this order")

    one = whole("ssh", parents=[packed, committed], help="all of it, over ssh")
    one.add_argument("host", help="me@host; options of ssh: SSH='ssh -p 2222'")
    one.add_argument("--folder", default="copywriter-gpu-run", help="on the host; runs there go on from what it holds")
    one.add_argument("--python", default="python3", help="the host's interpreter that has the requirements")
    one = whole("pack", parents=[packed, parted], help="the data stages, then one archive for the host")
    one.add_argument("file", type=Path)
    one = whole("there", parents=[parted], help="on the host; start.sh calls it")
    one.add_argument("folder", type=Path, help="where the archive was unpacked")
    one.add_argument("--to", type=Path, help="default: home.tgz in that folder")
    one = whole("home", parents=[committed], help="takes over what came back")
    one.add_argument("file", type=Path, help="home.tgz, also when it came in parts")
    return top


def work(given: argparse.Namespace) -> str:
    """Does what was typed; the summary."""
    if given.command == "ssh":
        chosen = given.experiment or packing.EXPERIMENTS
        return ssh.run(given.host, given.folder, given.python, chosen, given.with_base, given.commit)
    if given.command == "pack":
        return packing.run(given.file, given.experiment or packing.EXPERIMENTS, given.with_base, given.part_size)
    if given.command == "there":
        return there.run(given.folder, given.to or given.folder / "home.tgz", given.part_size)
    return home.run(given.file, given.commit)


def main() -> None:
    """Wires the command."""
    given = options().parse_args()
    stage.run(f"gpu_run {given.command}", lambda: work(given))


if __name__ == "__main__":
    main()
