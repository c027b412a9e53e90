"""The error analysis, made ready for the page and the terminal: the worst slices, and what to collect next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.lifecycle.report import words

_SHOWN = 20
_SHOWN_SMALL = 10
_CLEAR = 0.05


def section(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the page shows of `evaluation["slices"]`; None where rows were not told apart.

    `lines` are the slices that were large enough, the worst first; `rest` says how many more there are; `small` names
    those that were too small, `notes` what could not be looked at, `collect` the suggestions.
    """
    found = evaluation.get("slices")
    if not found or not found["slices"]:
        return None
    large = [each for each in found["slices"] if not each["too_small"]]
    small = [each for each in found["slices"] if each["too_small"]]
    share = is_share(found)
    return {
        "metric": words.metric_name(found["metric"]),
        "system": words.system_phrase(found["system"]),
        "other": words.system_name(found["other"]) if found["other"] else "",
        "lines": [_line(each, found, share=share) for each in large[:_SHOWN]],
        "rest": len(large) - len(large[:_SHOWN]),
        "small": [f"{name(each)} ({words.rows(each['n'])})" for each in small[:_SHOWN_SMALL]],
        "more_small": len(small) - len(small[:_SHOWN_SMALL]),
        "notes": list(found["notes"]),
        "collect": [each["sentence"] for each in found["collect"]],
        "headline": headline(found),
        "losers": losers(found),
    }


def name(each: Mapping[str, Any]) -> str:
    """`language de`, `question length: shortest (1 to 41 characters)`."""
    shown = f" ({each['shown']})" if each["shown"] else ""
    return f"{each['by'].replace('_', ' ')} {each['value']}{shown}"


def is_share(found: Mapping[str, Any]) -> bool:
    """Whether what the slices are looked at by is a share in 0…1."""
    return not found["less_is_better"] and all(0 <= each["score"]["value"] <= 1 for each in found["slices"])


def is_worse(each: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a slice is worse than the rest, and chance does not explain it."""
    sign = -1 if found["less_is_better"] else 1
    return each["p_corrected"] is not None and each["p_corrected"] < _CLEAR and each["difference"] * sign < 0


def headline(found: Mapping[str, Any]) -> str:
    """Whether any slice is surely worse than the rest, in a sentence."""
    tested = [each for each in found["slices"] if each["p_corrected"] is not None]
    worse = [each for each in tested if is_worse(each, found)]
    if not tested:
        return "No slice has enough rows to be told from the rest."
    if not worse:
        return f"No slice is surely worse than the rest, of {len(tested):,} looked at."
    first, share = worse[0], is_share(found)
    score, rest = (words.score(value, share=share) for value in (first["score"]["value"], first["rest"]))
    return (
        f"{len(worse):,} of {len(tested):,} slices {'are' if len(worse) > 1 else 'is'} surely worse than the rest, "
        f"{name(first)} most of all: {score} against {rest}."
    )


def losers(found: Mapping[str, Any]) -> list[str]:
    """For whom it surely got worse than with the other system, a sentence each."""
    sign, share = (-1 if found["less_is_better"] else 1), is_share(found)
    held = [each for each in found["slices"] if each["against"]]
    lost = [each for each in held if each["against"]["p_corrected"] < _CLEAR and each["against"]["value"] * sign < 0]
    other = words.system_name(found["other"])
    return [
        f"It got worse for {name(each)}: {points(each['against']['value'], share=share)} against {other} "
        f"({words.rows(each['n'])}, p {_p(each['against']['p_corrected'])})."
        for each in sorted(lost, key=lambda each: each["against"]["value"] * sign)
    ]


def points(value: float, *, share: bool) -> str:
    """A difference: `−12.5 points`, or the plain number of what is no share."""
    sign = "−" if value < 0 else "+"
    return f"{sign}{abs(100 * value):.1f} points" if share else f"{sign}{words.plain(abs(value))}"


def _line(each: Mapping[str, Any], found: Mapping[str, Any], *, share: bool) -> dict[str, Any]:
    score, against = each["score"], each["against"]
    return {
        "name": name(each),
        "n": words.count(each["n"]),
        "score": words.score(score["value"], share=share),
        "interval": words.interval(score["low"], score["high"], share=share),
        "rest": words.score(each["rest"], share=share),
        "difference": points(each["difference"], share=share),
        "p": _tested(each["p"], each["p_corrected"]),
        "worse": is_worse(each, found),
        "against": points(against["value"], share=share) if against else "–",
        "against_p": _tested(against["p"], against["p_corrected"]) if against else "",
        "examples": [_example(example) for example in each["examples"]],
    }


def _tested(p: float | None, corrected: float | None) -> str:
    if p is None or corrected is None:
        return "not tested"
    return f"p {_p(p)}, corrected {_p(corrected)}"


def _p(p: float) -> str:
    shown = words.p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"


def _example(example: Mapping[str, str]) -> dict[str, str]:
    return {key: _clipped(example[key]) for key in ("question", "reference", "prediction")}


def _clipped(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def lines(evaluation: Mapping[str, Any], most: int = 3) -> list[str]:
    """The error analysis for a terminal: what is worst, for whom it got worse, and what to collect."""
    found = evaluation.get("slices")
    if not found or not found["slices"]:
        return []
    return [headline(found), *losers(found)[:most], *_first(found["collect"], most)]


def _first(collect: Sequence[Mapping[str, Any]], most: int) -> list[str]:
    return [each["sentence"] for each in collect[:most]]
