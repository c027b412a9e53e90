"""Stated principles: each answer is held against each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.evaluate.intervals import interval_of
from tunewright.evaluate.judging.grading import shorten
from tunewright.evaluate.judging.judge import Judge
from tunewright.evaluate.judging.people import NOT_HELD, Opinion, agree_on_scale
from tunewright.evaluate.judging.settings import Bench, JudgeSettings, asking
from tunewright.evaluate.judging.verdicts import (
    Broken,
    Nonsense,
    NotJudged,
    Verdict,
    ask_by_likelihood,
    ask_in_words,
    check_judged,
    read_reply,
    reasons_missing,
)
from tunewright.evaluate.judging.wording import Case, principle_task
from tunewright.evaluate.probing import Finding
from tunewright.evaluate.statistics import Interval
from tunewright.metrics import Measure

_SCALE = (0, 1)  # kept, broken
_WORST = 5


@dataclass(frozen=True)
class Held:
    """One system's answers held against all principles: `verdicts[p][c]` of principle p on case c."""

    system: str
    principles: Sequence[str]
    cases: Sequence[Case]
    verdicts: Sequence[Sequence[Verdict | NotJudged]]

    @property
    def any_broken(self) -> dict[str, float]:
        """1 for each row that breaks a principle, 0 for one that was held against all and broke none.

        A row with a missing verdict is known to break one only if another verdict says so.
        """
        found: dict[str, float] = {}
        for place, case in enumerate(self.cases):
            said = [verdicts[place] for verdicts in self.verdicts]
            if any(isinstance(each, Verdict) and each.value for each in said):
                found[case.id] = 1.0
            elif all(isinstance(each, Verdict) for each in said):
                found[case.id] = 0.0
        return found

    def share(self, bench: Bench) -> Interval:
        """Share of the rows that break a principle, with its interval."""
        values = np.array(list(self.any_broken.values()), dtype=np.float64)
        return interval_of(Measure("principles_broken", values), samples=bench.samples, seed=bench.seed)


def hold(
    judge: Judge, principles: Sequence[str], cases: Sequence[Case], system: str, settings: JudgeSettings, bench: Bench
) -> Held:
    """Holds one system's answers against each principle.

    Raises:
        EndpointError: If more of the answers than may be missing got no verdict.
    """
    verdicts = []
    for number, principle in enumerate(principles, 1):
        tasks = [principle_task(case, system, principle) for case in cases]
        what = f"principle {number} of {system}"
        how = asking(settings, bench, len(cases), what)

        def read(place: int, text: str) -> Verdict:
            reply = read_reply(text, Broken)
            if reply.broken and not _stands_in(reply.quote, cases[place].answers[system]):
                raise Nonsense("the quote is not in the ANSWER, word for word")
            return Verdict(float(reply.broken), reply.reason, reply.quote if reply.broken else "")

        found = (
            ask_by_likelihood(judge, tasks, how, expected=False)
            if settings.how == "likelihood"
            else ask_in_words(judge, tasks, read, how)
        )
        check_judged(found, settings.max_not_judged, judge=judge.name, what=what)
        verdicts.append(found)
    return Held(system, principles, cases, verdicts)


def principles_finding(judge: Judge, held: Sequence[Held], bench: Bench, opinions: Sequence[Opinion] | None) -> Finding:
    """The share of answers that break a principle: the first system's, and the second's beside it."""
    first = held[0]
    share = first.share(bench)
    people = NOT_HELD
    if opinions is not None:
        answers = {case.id: case.answers[first.system] for case in first.cases}
        people = agree_on_scale(
            opinions,
            {row: int(broken) for row, broken in first.any_broken.items()},
            answers,
            rubric="principles",
            system=first.system,
            scale=_SCALE,
            seed=bench.seed,
        ).sentence
    missing = [each for verdicts in first.verdicts for each in verdicts if isinstance(each, NotJudged)]
    details: dict[str, Any] = {
        "Judge": judge.name,
        "Agreement with people": people,
        "Not judged": f"{len(missing)} of {len(first.cases) * len(first.principles)} verdicts",
        **({"Why not judged": reasons_missing(missing)} if missing else {}),
        "Each principle": [_line(number, held) for number in range(len(first.principles))],
        "Worst answers": _worst(first),
    }
    return Finding(
        name="principles_broken",
        title=f"Answers that break a principle, as {judge.name} judges them",
        value=share.value,
        low=share.low,
        high=share.high,
        n=share.n,
        better="lower",
        base=held[1].share(bench).value if len(held) > 1 else None,
        meaning=f"Share of the answers that break one or more of {len(first.principles)} stated principles. {people}",
        details=details,
    )


def _stands_in(quote: str, answer: str) -> bool:
    """Whether words stand in an answer, white space aside: a judge that makes up its evidence is not believed."""
    words = " ".join(quote.split())
    return bool(words) and words in " ".join(answer.split())


def _line(number: int, held: Sequence[Held]) -> Mapping[str, Any]:
    line: dict[str, Any] = {"principle": held[0].principles[number]}
    for each in held:
        given = [verdict.value for verdict in each.verdicts[number] if isinstance(verdict, Verdict)]
        line[f"broken by {each.system}"] = sum(given) / len(given) if given else None
    return line | {"answers": len(given)}


def _worst(held: Held) -> list[Mapping[str, Any]]:
    """Answers that break a principle, those that break the most of them first."""
    broken = [
        (number, place, verdict)
        for number, verdicts in enumerate(held.verdicts)
        for place, verdict in enumerate(verdicts)
        if isinstance(verdict, Verdict) and verdict.value
    ]
    of_row = {place: sum(other == place for _, other, _ in broken) for _, place, _ in broken}
    ordered = sorted(broken, key=lambda each: (-of_row[each[1]], each[1], each[0]))
    return [
        {
            "row": held.cases[place].id,
            "principle": held.principles[number],
            "question": shorten(held.cases[place].question),
            "answer": shorten(held.cases[place].answers[held.system]),
            "words": verdict.quote,
            "reason": verdict.reason,
        }
        for number, place, verdict in ordered[:_WORST]
    ]
