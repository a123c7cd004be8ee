"""The whole pipeline on a small share of the embedded catalogue with the embedded model: `make demo`.

Two temporary DVC experiments, demo-base (no training) and demo-tuned, so that the checkout stays as it is; then their
scores side by side and two titles with the catalogue's text, the base model's and the tuned one's. About 65 optimizer
steps of 4 x 128 tokens show the direction of the change, but not a good model.
"""

import json
import subprocess
import sys
import time

import dvc.api

from copywriter.messages import message

SMALL = {
    "sample.size": 340,
    "max_length": 128,
    "max_prompt_length": 56,
    "batch_size": 4,
    "micro_batch_size": 4,
    "epochs": 1,
    "learning_rate": 0.002,
    "schedule.warmup_steps": 4,
    "advanced.log_steps": 5,
    "advanced.eval_steps": 40,
    "save_steps": 40,
    "retrieval.max_length": 64,
    "decoding.candidates": 2,
    "decoding.max_new_tokens": 72,
    "decoding.batch_size": 40,
    "decoding.no_repeat_ngram_size": 4,
}
BASE, TUNED = "demo-base", "demo-tuned"
SHOWN = 2


def needs_identity() -> None:
    """SystemExit with the command to type where Git has no name or address for DVC's experiments, which are commits."""
    for key in ("user.name", "user.email"):
        if subprocess.run(["git", "config", key], capture_output=True).returncode:
            text = (
                'demo: Git has no {key}, and DVC\'s experiments are commits; type git config --global {key} "..." and '
                "run make demo again"
            )
            raise SystemExit(message(text, key=key))


def experiment(name: str, changes: dict[str, object]) -> None:
    """Runs the pipeline as a temporary experiment called `name`, in place of an earlier one of that name.

    `-f` would do so too, but it also runs every stage anew: the catalogue, the base model and its texts, made for the
    first experiment, would be made again for the second.
    """
    earlier = subprocess.run(["dvc", "exp", "list", "--name-only"], capture_output=True, text=True, check=True).stdout
    if name in earlier.split():
        subprocess.run(["dvc", "exp", "remove", "-q", name], check=True)
    settings = [word for key, value in (SMALL | changes).items() for word in ("-S", f"{key}={value}")]
    print(f"\n== {name}: dvc exp run --temp -n {name} {' '.join(settings)}", flush=True)
    done = subprocess.run(["dvc", "exp", "run", "--temp", "-n", name, *settings])
    if done.returncode:
        raise SystemExit(message("demo: the experiment {name} failed; see its messages above", name=name))


def predictions(name: str, variant: str) -> list[dict[str, str]]:
    """The predictions of `variant` in the experiment `name`."""
    text: str = dvc.api.read(f"data/predictions_{variant}.jsonl", rev=name)
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    """Runs both experiments and shows their scores and two texts."""
    started = time.perf_counter()
    needs_identity()
    experiment(BASE, {"epochs": 0})
    experiment(TUNED, {})
    heading = message("scores of {base} and {tuned}", base=BASE, tuned=TUNED)
    print(f"\n== {heading}: dvc metrics diff {BASE} {TUNED} --targets metrics/tuned.json", flush=True)
    diff = ["dvc", "metrics", "diff", BASE, TUNED, "--targets", "metrics/tuned.json", "--md"]
    subprocess.run(diff, check=True)
    for base, tuned in list(zip(predictions(TUNED, "base"), predictions(TUNED, "tuned"), strict=True))[:SHOWN]:
        example = "\ntitle:     {title}\nreference: {reference}\nbase:      {base}\ntuned:     {tuned}"
        values = {"title": tuned["title"], "reference": tuned["reference"]}
        print(message(example, **values, base=base["written"], tuned=tuned["written"]))
    print(f"\ndemo: {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
