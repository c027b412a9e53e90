"""Answers graded by rubrics: a mean score with its interval, what was not judged, and how it stands beside people's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.evaluate.intervals import interval_of
from tunewright.evaluate.judging.judge import Judge
from tunewright.evaluate.judging.people import NOT_HELD, Opinion, agree_on_scale
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.judging.settings import Bench, JudgeSettings, asking
from tunewright.evaluate.judging.verdicts import (
    Nonsense,
    NotJudged,
    Score,
    Verdict,
    ask_by_likelihood,
    ask_in_words,
    check_judged,
    read_reply,
    reasons_missing,
)
from tunewright.evaluate.judging.wording import Case, grade_task
from tunewright.evaluate.paired import difference
from tunewright.evaluate.probing import Finding
from tunewright.evaluate.statistics import Interval
from tunewright.metrics import Measure

_NO_MATERIAL = NotJudged("neither a context nor a reference answer to hold it to")
_WORST = 5
_SHOWN_CHARACTERS = 300
_FEWEST_FOR_LENGTH = 10


@dataclass(frozen=True)
class Graded:
    """One system's answers, graded by one rubric; a verdict or the lack of one for each case, in their order."""

    rubric: Rubric
    system: str
    cases: Sequence[Case]
    verdicts: Sequence[Verdict | NotJudged]

    @property
    def scores(self) -> dict[str, float]:
        """The score of each row that was judged."""
        pairs = zip(self.cases, self.verdicts, strict=True)
        return {case.id: verdict.value for case, verdict in pairs if isinstance(verdict, Verdict)}

    def mean(self, bench: Bench) -> Interval:
        """The mean score of what was judged, with its interval."""
        return interval_of(self.measure(list(self.scores)), samples=bench.samples, seed=bench.seed)

    def measure(self, rows: Sequence[str]) -> Measure:
        """The scores of some rows."""
        scores = self.scores
        return Measure(f"judge_{self.rubric.name}", np.array([scores[row] for row in rows], dtype=np.float64))


def grade(
    judge: Judge, rubric: Rubric, cases: Sequence[Case], system: str, settings: JudgeSettings, bench: Bench
) -> Graded:
    """Grades one system's answers by one rubric.

    Raises:
        EndpointError: If more of them than may be missing got no verdict.
    """
    judgeable = [case for case in cases if case.has_material or not rubric.needs_material]
    tasks = [grade_task(case, system, rubric) for case in judgeable]
    what = f"{rubric.name} of {system}"
    how = asking(settings, bench, len(cases), what)

    def read(_: int, text: str) -> Verdict:
        reply = read_reply(text, Score)
        if reply.score not in rubric.scale:
            points = ", ".join(map(str, rubric.points))
            raise Nonsense(f"the score {reply.score} is not on the scale, which has {points}")
        return Verdict(float(reply.score), reply.reason)

    found = (
        ask_by_likelihood(judge, tasks, how, expected=True)
        if settings.how == "likelihood"
        else ask_in_words(judge, tasks, read, how)
    )
    by_id = {case.id: verdict for case, verdict in zip(judgeable, found, strict=True)}
    verdicts = [by_id.get(case.id, _NO_MATERIAL) for case in cases]
    check_judged(verdicts, settings.max_not_judged, judge=judge.name, what=what)
    return Graded(rubric, system, cases, verdicts)


def grade_finding(
    judge: Judge, graded: Sequence[Graded], settings: JudgeSettings, bench: Bench, opinions: Sequence[Opinion] | None
) -> Finding:
    """One rubric's finding: the first system's mean score, and the second's beside it.

    Args:
        graded: The system that the finding is about, and the one that it is held against, if any; by one rubric.
        opinions: What people said; None where nobody was asked.
    """
    first, rubric = graded[0], graded[0].rubric
    mean = first.mean(bench)
    held = _held_against_people(first, opinions, bench)
    missing = sum(isinstance(each, NotJudged) for each in first.verdicts)
    details: dict[str, Any] = {
        "Judge": f"{judge.name}, asked in {'JSON' if settings.how == 'words' else 'single words, by their likelihood'}",
        "Agreement with people": held[0],
        **({"Agreement in numbers": held[1]} if held[1] else {}),
        "Not judged": f"{missing} of {len(first.cases)}",
    }
    for each in graded:
        if reasons := reasons_missing(each.verdicts):
            details[f"Why not judged ({each.system})"] = reasons
    if len(graded) > 1:
        details["Difference"] = _difference(first, graded[1], bench)
    details["Points given"] = _points(graded)
    if length := _length(first):
        details["Longer answers"] = length
    details["Worst answers"] = _worst(first)
    return Finding(
        name=f"judge_{rubric.name}",
        title=f"{rubric.shown}, as {judge.name} judges it",
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=mean.n,
        better="higher",
        base=graded[1].mean(bench).value if len(graded) > 1 else None,
        meaning=f"Mean of scores from {rubric.points[0]} to {rubric.points[-1]}. {rubric.question} {held[0]}",
        details=details,
    )


def _held_against_people(
    graded: Graded, opinions: Sequence[Opinion] | None, bench: Bench
) -> tuple[str, list[dict[str, Any]]]:
    """What is said of the agreement with people, and its table."""
    if opinions is None:
        return NOT_HELD, []
    found = agree_on_scale(
        opinions,
        {row: graded.rubric.nearest(score) for row, score in graded.scores.items()},
        {case.id: case.answers[graded.system] for case in graded.cases},
        rubric=graded.rubric.name,
        system=graded.system,
        scale=graded.rubric.points,
        seed=bench.seed,
    )
    return found.sentence, found.as_rows() if found.rows else []


def _difference(first: Graded, second: Graded, bench: Bench) -> list[dict[str, Any]]:
    """The mean difference over the rows that were judged of both, with its interval."""
    both = [row for row in first.scores if row in second.scores]
    if not both:
        return [{"between": f"{first.system} − {second.system}", "rows judged of both": 0}]
    found = difference(
        first.measure(both),
        second.measure(both),
        a=first.system,
        b=second.system,
        samples=bench.samples,
        seed=bench.seed,
    )
    return [
        {
            "between": f"{first.system} − {second.system}",
            "points": found.value,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "rows judged of both": found.n,
        }
    ]


def _points(graded: Sequence[Graded]) -> list[Mapping[str, Any]]:
    """How often each point was given; scores between points count for the nearest."""
    rubric = graded[0].rubric
    nearest = {each.system: Counter(map(rubric.nearest, each.scores.values())) for each in graded}
    return [
        {"point": point, "meaning": rubric.scale[point], **{name: counted[point] for name, counted in nearest.items()}}
        for point in reversed(rubric.points)
    ]


def _length(graded: Graded) -> str:
    """Whether longer answers get better scores (Spearman's rank correlation); empty where that cannot be told."""
    from scipy.stats import spearmanr

    scores = graded.scores
    lengths = [len(case.answers[graded.system]) for case in graded.cases if case.id in scores]
    if len(scores) < _FEWEST_FOR_LENGTH or len(set(lengths)) == 1 or len(set(scores.values())) == 1:
        return ""
    found = spearmanr(lengths, list(scores.values()))
    return (
        f"Rank correlation of length and score {found.statistic:+.2f} (p = {found.pvalue:.2g}). It is high for a judge "
        "that likes length for its own sake, and where longer answers are better ones."
    )


def _worst(graded: Graded) -> list[Mapping[str, Any]]:
    pairs = [
        (verdict.value, place, case, verdict)
        for place, (case, verdict) in enumerate(zip(graded.cases, graded.verdicts, strict=True))
        if isinstance(verdict, Verdict)
    ]
    return [
        {
            "row": case.id,
            "question": shorten(case.question),
            "answer": shorten(case.answers[graded.system]),
            "score": verdict.value,
            "reason": verdict.reason,
        }
        for _, _, case, verdict in sorted(pairs, key=lambda pair: pair[:2])[:_WORST]
    ]


def shorten(text: str) -> str:
    """A text as a table shows it: its end, since there the last question stands, or the whole."""
    return text if len(text) <= _SHOWN_CHARACTERS else "…" + text[-_SHOWN_CHARACTERS:]
