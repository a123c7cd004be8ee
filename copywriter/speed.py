"""How long training will take, from the speed of the last one on this machine."""

import json

from copywriter import paths


def measured(model: str) -> float | None:
    """Real tokens a second of this machine's last training, or None where `model` was not the one that it trained."""
    try:
        speed = json.loads(paths.SPEED.read_text(encoding="utf-8"))
        return float(speed["tokens_per_second"]) if speed["model"] == model else None
    except (OSError, ValueError, KeyError):
        return None


def expected(tokens: int, tokens_per_second: float | None) -> str:
    """What training on `tokens` tokens takes, in words."""
    if not tokens_per_second:
        return f"{tokens:,} tokens take as long as one training here will tell"
    minutes = tokens / tokens_per_second / 60
    time = f"{minutes / 60:,.1f} hours" if minutes > 90 else f"{minutes:,.1f} minutes"
    return f"{tokens:,} tokens take about {time} at {tokens_per_second:,.0f} a second"
