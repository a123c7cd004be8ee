"""The scores of base and tuned side by side through `dvc metrics diff`: `make compare`.

`dvc metrics diff` compares one file in two revisions, so it needs a revision whose metrics/tuned.json has the base's
scores. A run with `epochs: 0` makes one: its adapter is untrained, and its scores equal the base's byte for byte. The
revision is found by these bytes among all commits and experiments.
"""

import subprocess

from copywriter import errors, paths, stage
from copywriter.errors import UserError
from tools.commands import git


def holds_base(folder: str = ".") -> str:
    """The newest commit or experiment in which metrics/tuned.json is what metrics/base.json is now."""
    errors.existing(paths.scores("base"), "dvc repro evaluate")
    wanted = git("hash-object", paths.scores("base").as_posix(), folder=folder)
    tuned = paths.scores("tuned").as_posix()
    for revision in git("log", "--all", "--full-history", "--format=%H", "--", tuned, folder=folder).split():
        if f" {wanted}\t" in git("ls-tree", revision, "--", tuned, folder=folder):
            return revision[:10]
    raise UserError(
        "no commit or experiment has the base's scores as tuned; make one with "
        "'dvc exp run --temp -n base -S epochs=0' (it writes the test texts with an untrained adapter), then try again"
    )


def work() -> str:
    """Prints the differences between base and tuned; the summary line."""
    errors.existing(paths.scores("tuned"), "dvc repro evaluate")
    revision = holds_base()
    command = ["dvc", "metrics", "diff", "--all", revision, "workspace", "--targets", paths.scores("tuned").as_posix()]
    print(f"{' '.join(command)}    # old: base, new: tuned", flush=True)
    subprocess.run([*command, "--md"], check=True)
    return f"{revision} has the base's scores; {paths.COMPARISON} says which differences are significant"


def main() -> None:
    """Wires the command."""
    stage.run("compare", work)


if __name__ == "__main__":
    main()
