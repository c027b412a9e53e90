"""The page of a comparison: who is better and how surely, every score, every test, and for whom it got worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunewright.lifecycle.report import slices, words
from tunewright.lifecycle.report.page import fill

if TYPE_CHECKING:
    from tunewright.evaluate.versus import Versus

_NO_METRICS = ("cut", "seconds", "not_covered")


def verdict_lines(found: Versus) -> list[str]:
    """On the main metric a sentence for each system against the first: better, worse, or no difference to be seen."""
    return [verdict(each.as_json() | {"significant": each.significant}) for each in found.on(found.metric)]


def verdict(found: Mapping[str, Any]) -> str:
    """What a difference says, in a sentence.

    Args:
        found: `Difference.as_json()` with `significant`.
    """
    share, name = words.is_share(found["metric"]), _metric(found["metric"])
    apart = f"{slices.points(found['value'], share=share)} (95 % {_ends(found, share=share)}), p {_p(_tested(found))}"
    if found["significant"]:
        better = (found["value"] > 0) is not words.less_is_better(found["metric"])
        return f"{found['a']} is {'better' if better else 'worse'} than {found['b']} on {name}: {apart}."
    return (
        f"No difference between {found['b']} and {found['a']} can be seen on {name}: {apart}; with "
        f"{words.rows(found['n'])} less than {_size(found['detectable'], share=share)} cannot be."
    )


def render_comparison(document: Mapping[str, Any], *, created: datetime | None = None) -> str:
    """A whole HTML document that needs no other file, no script and no network. All texts are escaped.

    Args:
        document: `lifecycle.comparing.document`.
        created: When; by default now.
    """
    from tunewright import __version__

    evaluation, names = document["evaluation"], list(document["systems"])
    mains = [each for each in document["differences"] if each["metric"] == document["metric"]]
    view: dict[str, Any] = {
        "version": __version__,
        "created": words.moment((created or datetime.now(UTC)).isoformat(timespec="minutes")),
        "title": " against ".join([names[-1], names[0]]) if len(names) == 2 else f"{len(names)} systems compared",
        "state": _state(mains),
        "verdicts": [verdict(each) for each in mains],
        "facts": _facts(document),
        "systems": names,
        "scores": score_lines(evaluation, names),
        "tests": [test_line(each) for each in document["differences"]],
        "notes": notes(document),
        "slices": slices.section(evaluation),
    }
    return fill("comparison.html.j2", view)


def score_lines(evaluation: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """For each metric its name, and each system's score with its interval; None where it was not measured."""
    metrics = dict.fromkeys(metric for name in names for metric in evaluation[name] if metric not in _NO_METRICS)
    return [
        {
            "metric": metric,
            "name": words.metric_name(metric),
            "meaning": words.metric_meaning(metric),
            "less_is_better": words.less_is_better(metric),
            "cells": [_cell(evaluation[name].get(metric), metric) for name in names],
        }
        for metric in metrics
    ]


def test_line(found: Mapping[str, Any]) -> dict[str, Any]:
    """A difference as a table has it."""
    share = words.is_share(found["metric"])
    better = (found["value"] > 0) is not words.less_is_better(found["metric"])
    return {
        "pair": f"{found['a']} − {found['b']}",
        "name": words.metric_name(found["metric"]),
        "value": slices.points(found["value"], share=share),
        "interval": _ends(found, share=share),
        "p": f"p {_p(found['p'])}",
        "corrected": _p(_tested(found)).removeprefix("= "),
        "test": found["test"],
        # Where no resample differs there is no spread to tell it by.
        "detectable": _size(found["detectable"], share=share) if found["detectable"] else "–",
        "state": ("yes" if better else "no") if found["significant"] else "",
        "said": ("better" if better else "worse") if found["significant"] else "no difference to be seen",
    }


def notes(document: Mapping[str, Any]) -> list[str]:
    """What a reader should know of the rows and the answers, a sentence each."""
    said = [
        f"{words.rows(count)} that {name} answered, and not all others did, {'is' if count == 1 else 'are'} left out."
        for name, count in document["left_out"].items()
    ]
    for name, side in document["systems"].items():
        odd = side["answers_are"]
        if odd["empty"]:
            said.append(f"{name}: {words.rows(odd['empty'])} answered with nothing, which counts as wrong.")
        if odd["cut"]:
            said.append(f"{name}: {words.rows(odd['cut'])} whose answer was cut at the length limit.")
        if odd.get("unknown_labels", {}).get("rows"):
            count = odd["unknown_labels"]["rows"]
            said.append(f"{name}: {words.rows(count)} answered with a label that no reference has.")
        if side.get("data", {}).get("in_training"):
            said.append(f"{name}: {words.rows(side['data']['in_training'])} stand in what it learned from.")
    return said


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    evaluation = document["evaluation"]
    paths = dict.fromkeys(side["data"]["path"] for side in document["systems"].values() if "data" in side)
    facts = [("Rows", words.count(evaluation["n"])), ("Answers", str(evaluation["answer_kind"]).replace("_", " "))]
    if paths:
        facts.append(("Data", ", ".join(paths)))
    return [*facts, ("Seed", str(evaluation["seed"]))]


def _state(mains: Sequence[Mapping[str, Any]]) -> str:
    lines = [test_line(each)["state"] for each in mains]
    return "reached" if lines and set(lines) == {"yes"} else "missed" if "no" in lines else "none"


def _cell(score: Mapping[str, Any] | None, metric: str) -> dict[str, str] | None:
    if score is None:
        return None
    share = words.is_share(metric)
    return {
        "value": words.score(score["value"], share=share),
        "interval": words.interval(score["low"], score["high"], share=share),
    }


def _metric(metric: str) -> str:
    name = words.metric_name(metric)
    # "Macro-F1" and "BLEU" keep their capitals; "Accuracy" in the middle of a sentence does not.
    return name if name[1:2].isupper() or "-" in name else name[:1].lower() + name[1:]


def _ends(found: Mapping[str, Any], *, share: bool) -> str:
    return f"{_end(found['low'], share=share)} to {_end(found['high'], share=share)}"


def _end(value: float, *, share: bool) -> str:
    sign = "−" if value < 0 else ""
    return f"{sign}{abs(100 * value):.1f}" if share else f"{sign}{words.plain(abs(value))}"


def _size(value: float, *, share: bool) -> str:
    return f"{100 * value:.1f} points" if share else words.plain(value)


def _tested(found: Mapping[str, Any]) -> float:
    corrected = found["p_corrected"]
    return float(found["p"] if corrected is None else corrected)


def _p(p: float) -> str:
    shown = words.p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"
