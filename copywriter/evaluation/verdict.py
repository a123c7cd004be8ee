"""Differences as sentences: what is better, what is worse, and what is a tie."""

from collections.abc import Mapping

from copywriter.evaluation.scores import GRADES, SCORES
from copywriter.evaluation.significance import Difference


def number(name: str, value: float, signed: bool = False) -> str:
    """A score as text: a share in percent, others with the score's digits; `signed`: a difference of two scores."""
    score = SCORES[name]
    if score.scale == "share":
        return f"{100 * value + 0.0:+.1f} points" if signed else f"{100 * value + 0.0:.1f}%"
    return f"{value + 0.0:{'+' if signed else ''}.{score.digits}f}"


def outcome(name: str, one: Difference) -> str:
    """`tie`, `better` or `worse`; `higher` or `lower` for a score that is neither good nor bad."""
    if one.tie:
        return "tie"
    if not SCORES[name].better:
        return "higher" if one.difference > 0 else "lower"
    return "better" if one.difference * SCORES[name].better > 0 else "worse"


def sentence(name: str, one: Difference, before: str, after: str) -> str:
    """One difference with its interval and p-value, and for a tie the smallest difference that the rows can show."""
    values = f"{SCORES[name].title}: {before} {number(name, one.before)}, {after} {number(name, one.after)}"
    interval = f"95% interval {number(name, one.low, True)} to {number(name, one.high, True)}"
    p_value = f"p {'< 0.001' if one.p < 0.001 else f'= {one.p:.3f}'}"
    text = f"{values} ({number(name, one.difference, True)}, {interval}, {p_value})"
    found = outcome(name, one)
    if found != "tie":
        return f"{text}: {found}."
    smallest = number(name, one.smallest, True).removeprefix("+")
    return f"{text}: a tie{f'; these rows would show a difference of {smallest}' if one.smallest else ''}."


def verdict(differences: Mapping[str, Difference], before: str, after: str, rows: int) -> str:
    """The verdict: one sentence over those GRADES that both sides have."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "tie": []}
    for name in GRADES:
        if name in differences:
            found[outcome(name, differences[name])].append(SCORES[name].title)
    if not found["better"] and not found["worse"]:
        return f"A tie: on {rows:,} titles {_listed(found['tie'])} do not distinguish {after} from {before}."
    words = {"better": "better by", "worse": "worse by", "tie": "a tie by"}
    parts = [f"{word} {_listed(found[kind])}" for kind, word in words.items() if found[kind]]
    return f"On {rows:,} titles, {after} against {before}: {'; '.join(parts)}."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
