"""Two systems' answers side by side, in both orders, so that a judge's liking for a place or for length is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from tunewright.base.errors import InputError
from tunewright.evaluate.intervals import interval_of, wilson
from tunewright.evaluate.judging.grading import shorten
from tunewright.evaluate.judging.judge import Judge
from tunewright.evaluate.judging.people import NOT_HELD, Opinion, agree_on_pairs
from tunewright.evaluate.judging.settings import Bench, JudgeSettings, asking
from tunewright.evaluate.judging.verdicts import (
    Better,
    NotJudged,
    Verdict,
    ask_by_likelihood,
    ask_in_words,
    check_judged,
    read_reply,
    reasons_missing,
)
from tunewright.evaluate.judging.wording import Case, pair_task
from tunewright.evaluate.probing import Finding
from tunewright.evaluate.statistics import mcnemar_exact
from tunewright.metrics import Measure

CRITERION = (
    "Better is the answer that serves the person who asked best: right, complete in the form that was demanded, and "
    "clear. Where a reference answer is shown, the answer that says the same is right."
)
TIE = "tie"
_WORTH = {"1": 1.0, "2": -1.0, TIE: 0.0}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair judged in both orders.

    Args:
        case: The row.
        ours_first: 1 where the first system's answer was found better while it stood first, -1 where the other was.
        ours_second: The same while it stood second; also seen from the first system.
        reasons: The judge's words, in both orders.
    """

    case: Case
    ours_first: float
    ours_second: float
    reasons: tuple[str, str]

    @property
    def flipped(self) -> bool:
        """Whether the verdict changes with the order."""
        return self.ours_first != self.ours_second

    @property
    def verdict(self) -> float:
        """1 for the first system, -1 for the second; 0 for a tie, which a flipped pair is."""
        return 0.0 if self.flipped else self.ours_first

    @property
    def place(self) -> float:
        """From 1, where the first place won in both orders, to -1, where the second did; 0 where places do not tell."""
        return (self.ours_first - self.ours_second) / 2


@dataclass(frozen=True)
class Compared:
    """All pairs of two systems."""

    systems: tuple[str, str]
    pairs: Sequence[Pair]
    verdicts: Sequence[Verdict | NotJudged]
    asked: int


def compare_pairs(
    judge: Judge, cases: Sequence[Case], systems: tuple[str, str], settings: JudgeSettings, bench: Bench, criterion: str
) -> Compared:
    """Judges each case in both orders. A pair that was judged in one order alone is not judged.

    Raises:
        EndpointError: If more pairs than may be missing got no verdict.
    """
    ours, theirs = systems
    tasks = [pair_task(case, *order, criterion) for order in ((ours, theirs), (theirs, ours)) for case in cases]
    what = f"{ours} against {theirs}"
    how = asking(settings, bench, len(tasks), what)

    def read(_: int, text: str) -> Verdict:
        reply = read_reply(text, Better)
        return Verdict(_WORTH[reply.better], reply.reason)

    found = (
        ask_by_likelihood(judge, tasks, how, expected=False)
        if settings.how == "likelihood"
        else ask_in_words(judge, tasks, read, how)
    )
    pairs, missing = [], []
    for case, one, other in zip(cases, found[: len(cases)], found[len(cases) :], strict=True):
        if isinstance(one, Verdict) and isinstance(other, Verdict):
            pairs.append(Pair(case, one.value, 0.0 - other.value, (one.reason, other.reason)))
        else:
            missing.append(one if isinstance(one, NotJudged) else other)
    whole: list[Verdict | NotJudged] = [*missing, *(Verdict(pair.verdict) for pair in pairs)]
    check_judged(whole, settings.max_not_judged, judge=judge.name, what=what)
    return Compared(systems, pairs, whole, len(cases))


def pair_findings(judge: Judge, compared: Compared, bench: Bench, opinions: Sequence[Opinion] | None) -> list[Finding]:
    """The win rate, and how far the judge's verdicts hang on which answer stands first."""
    if not compared.pairs:
        raise InputError("No pair was judged", where="evaluate.probes.judge")
    ours, theirs = compared.systems
    values = np.array([pair.verdict for pair in compared.pairs], dtype=np.float64)
    rate = interval_of(Measure("judge_win_rate", (values + 1) / 2), samples=bench.samples, seed=bench.seed)
    test = mcnemar_exact((values > 0).astype(np.float64), (values < 0).astype(np.float64))
    held, table = _held_against_people(compared, opinions, bench)
    details: dict[str, Any] = {
        "Judge": judge.name,
        "Pairs": [
            {
                f"{ours} better": test.only_a,
                f"{theirs} better": test.only_b,
                "ties": len(values) - test.only_a - test.only_b,
                "not judged": compared.asked - len(values),
                "p (sign test)": test.p,
            }
        ],
        "Agreement with people": held,
        **({"Agreement in numbers": table} if table else {}),
        "Position bias": position_bias(compared.pairs, bench),
        "Length bias": length_bias(compared),
    }
    if reasons := reasons_missing(compared.verdicts):
        details["Why not judged"] = reasons
    details["Lost pairs"] = _lost(compared)
    flips = _share(sum(pair.flipped for pair in compared.pairs), len(compared.pairs))
    return [
        Finding(
            name="judge_win_rate",
            title=f"Wins against {theirs}, as {judge.name} judges them",
            value=rate.value,
            low=rate.low,
            high=rate.high,
            n=rate.n,
            better="higher",
            meaning="Share of pairs won, a tie counting half. Each pair was judged in both orders; one whose verdict "
            f"changed with the order is a tie. Equal systems have 0.5; p = {test.p:.2g} in the sign test. {held}",
            details=details,
        ),
        Finding(
            name="judge_flips",
            title="Verdicts that change with the order",
            value=flips["share"],
            low=flips["low"],
            high=flips["high"],
            n=len(compared.pairs),
            better="lower",
            meaning="Share of pairs on which the judge said something else once the two answers changed places. The "
            "higher it is, the less the win rate says.",
        ),
    ]


def position_bias(pairs: Sequence[Pair], bench: Bench) -> list[Mapping[str, Any]]:
    """How often verdicts flip, and which place is favoured: from 1, always the first, to -1, always the second."""
    places = np.array([pair.place for pair in pairs], dtype=np.float64)
    found = interval_of(Measure("position_bias", places), samples=bench.samples, seed=bench.seed)
    favoured = "neither place, as far as can be seen"
    if found.low > 0 or found.high < 0:
        favoured = "the first place" if found.value > 0 else "the second place"
    flips = _share(sum(pair.flipped for pair in pairs), len(pairs))
    return [
        {
            "flipped pairs": flips["share"],
            "flipped low": flips["low"],
            "flipped high": flips["high"],
            "leaning to the first place": found.value,
            "low": found.low,
            "high": found.high,
            "favoured": favoured,
        }
    ]


def length_bias(compared: Compared) -> list[Mapping[str, Any]]:
    """How often the longer answer won, of the decided pairs whose answers differ in length.

    Longer answers may be better ones: only a share far from a half where both systems are as good points at the judge.
    """
    ours, theirs = compared.systems
    longer = [
        (len(pair.case.answers[ours]) > len(pair.case.answers[theirs])) == (pair.verdict > 0)
        for pair in compared.pairs
        if pair.verdict and len(pair.case.answers[ours]) != len(pair.case.answers[theirs])
    ]
    if not longer:
        return [{"decided pairs of unequal length": 0}]
    won = _share(sum(longer), len(longer))
    return [
        {
            "decided pairs of unequal length": len(longer),
            "the longer one won": won["share"],
            "low": won["low"],
            "high": won["high"],
        }
    ]


def _share(hits: int, total: int) -> dict[str, float]:
    low, high = wilson(hits, total)
    return {"share": hits / total, "low": low, "high": high}


def _held_against_people(
    compared: Compared, opinions: Sequence[Opinion] | None, bench: Bench
) -> tuple[str, list[dict[str, Any]]]:
    if opinions is None:
        return NOT_HELD, []
    ours, theirs = compared.systems
    said = {pair.case.id: {1.0: ours, -1.0: theirs, 0.0: TIE}[pair.verdict] for pair in compared.pairs}
    found = agree_on_pairs(opinions, said, seed=bench.seed)
    return found.sentence, found.as_rows() if found.rows else []


def _lost(compared: Compared) -> list[Mapping[str, Any]]:
    ours, theirs = compared.systems
    lost = (pair for pair in compared.pairs if pair.verdict < 0)
    return [
        {
            "row": pair.case.id,
            "question": shorten(pair.case.question),
            ours: shorten(pair.case.answers[ours]),
            theirs: shorten(pair.case.answers[theirs]),
            "reason": pair.reasons[0],
        }
        for pair in islice(lost, _SHOWN)
    ]
