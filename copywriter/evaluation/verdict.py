"""Differences as sentences: what rose, what fell, and what is a tie."""

from collections.abc import Mapping

from copywriter.evaluation import scores
from copywriter.evaluation.significance import Difference

GRADES = ("bleu", "rougeL", "chrf", "nll")  # what the verdict goes by, named before any result was seen
_DIGITS = {"nll": 3}


def number(name: str, value: float, signed: bool = False) -> str:
    """A score as it is shown: shares in percent, the rest with two or three digits; `signed`: a difference."""
    if name in scores.SHARES:
        return f"{100 * value + 0.0:+.1f} points" if signed else f"{100 * value + 0.0:.1f}%"
    return f"{value + 0.0:{'+' if signed else ''}.{_DIGITS.get(name, 2)}f}"


def outcome(name: str, one: Difference) -> str:
    """`tie`, `better` or `worse`; `higher` or `lower` for a score that is no grade."""
    if one.tie:
        return "tie"
    if name not in scores.BETTER:
        return "higher" if one.difference > 0 else "lower"
    return "better" if one.difference * scores.BETTER[name] > 0 else "worse"


def sentence(name: str, one: Difference, before: str, after: str) -> str:
    """One difference in words, with its interval, p-value and, for a tie, what the rows could have shown."""
    values = f"{scores.NAMES[name]}: {before} {number(name, one.before)}, {after} {number(name, one.after)}"
    interval = f"95% interval {number(name, one.low, True)} to {number(name, one.high, True)}"
    chance = f"p {'< 0.001' if one.p < 0.001 else f'= {one.p:.3f}'}"
    told = f"{values} ({number(name, one.difference, True)}, {interval}, {chance})"
    found = outcome(name, one)
    if found != "tie":
        return f"{told}: {found}."
    shown = number(name, one.smallest, True).removeprefix("+")
    return f"{told}: a tie{f'; these rows would show a difference of {shown}' if one.smallest else ''}."


def verdict(differences: Mapping[str, Difference], before: str, after: str, rows: int) -> str:
    """One sentence over GRADES, those of them that both sides have."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "tie": []}
    for name in GRADES:
        if name in differences:
            found[outcome(name, differences[name])].append(scores.NAMES[name])
    if not found["better"] and not found["worse"]:
        return f"A tie: on {rows:,} titles {_listed(found['tie'])} do not tell {after} from {before}."
    words = {"better": "better by", "worse": "worse by", "tie": "a tie by"}
    parts = [f"{word} {_listed(found[kind])}" for kind, word in words.items() if found[kind]]
    return f"On {rows:,} titles, {after} against {before}: {'; '.join(parts)}."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
