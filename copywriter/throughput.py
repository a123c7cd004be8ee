"""The time estimate of a training, from the speed of the last one on this machine."""

import json

from copywriter import paths


def measured(model: str, device: str | None = None) -> float | None:
    """Tokens per second of the last training on this machine, None if it had another model (or device)."""
    last = _last(model, device)
    return last[0] if last else None


def minutes(tokens: int, model: str, device: str) -> float | None:
    """Minutes that a whole training on `tokens` tokens takes, set-up included; None where `measured` is None."""
    last = _last(model, device)
    return (last[1] + tokens / last[0]) / 60 if last else None


def _last(model: str, device: str | None) -> tuple[float, float] | None:
    """Tokens per second and seconds to the first step; None if there is no complete file of this model and device."""
    try:
        speed = json.loads(paths.SPEED.read_text(encoding="utf-8"))
        if speed["model"] != model or (device is not None and speed["device"] != device):
            return None
        rate = float(speed["tokens_per_second"])
        return (rate, float(speed.get("seconds_to_first_step", 0))) if rate > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def expected(tokens: int, tokens_per_second: float | None) -> str:
    """A sentence on the time of training on `tokens` tokens."""
    if not tokens_per_second:
        return f"{tokens:,} tokens; the time is known after the first training here"
    minutes = tokens / tokens_per_second / 60
    time = f"{minutes / 60:,.1f} hours" if minutes > 90 else f"{minutes:,.1f} minutes"
    return f"{tokens:,} tokens take about {time} at {tokens_per_second:,.0f} tokens/s"
