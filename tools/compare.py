"""Base and tuned side by side, as `dvc metrics diff` has them: `make compare`.

That command compares one file in two revisions, so it wants a revision whose metrics/tuned.json holds the base. With
`epochs: 0` the adapter is untrained, and its scores are the base's in every byte: that is how the revision is found,
among commits and experiments alike, whatever it is called.
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
    """Prints the difference and, where the stage compare has run, what it is worth."""
    errors.existing(paths.scores("tuned"), "dvc repro evaluate")
    revision = holds_base()
    command = ["dvc", "metrics", "diff", "--all", revision, "workspace", "--targets", paths.scores("tuned").as_posix()]
    print(f"{' '.join(command)}    # old: base, new: tuned", flush=True)
    subprocess.run([*command, "--md"], check=True)
    return f"{revision} holds the base; {paths.COMPARISON} says what the differences are worth"


def main() -> None:
    """Wires the command."""
    stage.run("compare", work)


if __name__ == "__main__":
    main()
