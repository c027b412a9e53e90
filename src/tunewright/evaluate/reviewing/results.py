"""What people said, in numbers: who wins and by how much, how far raters agree with each other and with themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError
from tunewright.evaluate.agreement import Coefficient, Rating, every_pair, fleiss_kappa, krippendorff_alpha
from tunewright.evaluate.intervals import interval_of
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.reviewing.rater import Given, Learned, learned, read_given, way
from tunewright.evaluate.reviewing.session import Session
from tunewright.evaluate.statistics import Interval, Paired, bootstrap, mcnemar_exact
from tunewright.metrics import Measure

Floats = NDArray[np.float64]

TIE, BOTH_BAD = "tie", "both_bad"


@dataclass(frozen=True, slots=True)
class RaterSummary:
    """What one rater did.

    Args:
        name: The rater's.
        asked: Rows he was to look at, without training items and repeats.
        answered: Rows he answered.
        skipped: Rows he skipped, each with its reason, where he gave one.
        finished: Whether nothing is left to ask him; one who stopped half-way counts with what he has.
        learned: How he did on the training items.
        marked: Whether he got too many of those wrong; what he gave is then counted apart.
        repeats: Rows he answered a second time.
        repeated: How often he then said the same; of ratings, within a point on every scale.
        left: How often he preferred the answer on the left.
        decided: How often he preferred one of the two.
        median_seconds: How long he looked at a row; None where it was not taken.
    """

    name: str
    asked: int
    answered: int
    skipped: tuple[str, ...]
    finished: bool
    learned: Learned
    marked: bool
    repeats: int
    repeated: int
    left: int
    decided: int
    median_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """The rater as `--json` prints it."""
        return asdict(self) | {"skipped": list(self.skipped)}


@dataclass(frozen=True, slots=True)
class Scale:
    """The ratings on one criterion.

    Args:
        rubric: The criterion.
        means: Each system's mean point, over rows, with its interval.
        difference: The first system's points less the second's, row by row; None where there are not two.
        paired: On how many rows the one or the other is rated higher, and the exact sign test.
        agreement: Krippendorff's alpha of the points, as ranks.
        pairs: Every two raters, with Cohen's kappa, weighted linearly.
    """

    rubric: Rubric
    means: dict[str, Interval]
    difference: Interval | None
    paired: Paired | None
    agreement: Coefficient
    pairs: tuple[tuple[str, str, Coefficient], ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was preferred.

    Args:
        win_rate: Share of rows in which the first system was preferred, a tie (and both bad) as half; of several raters
            of a row the mean. Over the rows that both answered differently.
        paired: On how many rows more raters preferred the one or the other, and the exact sign test.
        votes: How often each system, `tie` and `both_bad` were said.
        left: The share of preferences for the left answer, whichever it was; None where nobody preferred one.
        agreement: Krippendorff's alpha of the choices, as names.
        fleiss: Fleiss' kappa over the rows that all raters saw.
        pairs: Every two raters, with Cohen's kappa.
    """

    win_rate: Interval
    paired: Paired
    votes: dict[str, int]
    left: Interval | None
    agreement: Coefficient
    fleiss: Coefficient
    pairs: tuple[tuple[str, str, Coefficient], ...]


@dataclass(frozen=True)
class Results:
    """What a session has found so far.

    Args:
        session: The session.
        raters: What each rater did.
        rows: Rows that count: those that an unmarked rater answered.
        left_out: Answers of raters who failed the training items; they do not count.
        pairs: Of a session of pairs, what was preferred; None where nothing counts yet.
        scales: Of a session of ratings, each criterion; empty where nothing counts yet.
    """

    session: Session
    raters: tuple[RaterSummary, ...]
    rows: int
    left_out: int
    pairs: Pairs | None
    scales: tuple[Scale, ...]

    @property
    def counts_anything(self) -> bool:
        """Whether there are answers that count."""
        return self.rows > 0


def results_of(session: Session, *, samples: int = 2000) -> Results:
    """Counts what raters gave; they may be at work.

    Args:
        session: The session.
        samples: Bootstrap resamples of rows.

    Raises:
        InputError: If nobody has begun.
        DataError: If a rater's file is damaged.
    """
    given = {rater: read_given(session, rater) for rater in session.raters()}
    if not any(given.values()):
        raise InputError("Nobody has answered in this session yet", where=session.id)
    raters = tuple(_summary(session, rater, found) for rater, found in given.items())
    marked = {rater.name for rater in raters if rater.marked}
    counted = [
        (rater, each)
        for rater, found in given.items()
        if rater not in marked
        for each in found
        if each.stage == "row" and each.skipped is None
    ]
    left_out = sum(rater.answered for rater in raters if rater.marked)
    is_pairs = session.settings.kind == "pairwise"
    return Results(
        session=session,
        raters=raters,
        rows=len({each.unit for _, each in counted}),
        left_out=left_out,
        pairs=_pairs(session, counted, samples) if counted and is_pairs else None,
        scales=tuple(_scale(session, rubric, counted, samples) for rubric in session.settings.criteria)
        if counted and not is_pairs
        else (),
    )


def _summary(session: Session, rater: str, given: Sequence[Given]) -> RaterSummary:
    tasks = way(session, rater)
    rows = [each for each in given if each.stage == "row"]
    answered = [each for each in rows if each.skipped is None]
    first = {each.key: each for each in answered}
    controls = [each for each in given if each.stage == "control" and each.skipped is None]
    repeats = [(first[each.key.removeprefix("again:")], each) for each in controls if _is_again(each, first)]
    seconds = [each.seconds for each in answered if each.seconds is not None]
    found = learned(session, given)
    return RaterSummary(
        name=rater,
        asked=sum(task.stage == "row" for task in tasks),
        answered=len(answered),
        skipped=tuple(each.skipped for each in rows if each.skipped is not None),
        finished=len(given) == len(tasks),
        learned=found,
        marked=found.failed,
        repeats=len(repeats),
        repeated=sum(_same(before, after) for before, after in repeats),
        left=sum(each.choice == "left" for each in answered),
        decided=sum(each.choice in ("left", "right") for each in answered),
        median_seconds=median(seconds) if seconds else None,
    )


def _is_again(each: Given, first: dict[str, Given]) -> bool:
    """Whether the row was answered, and not skipped, when it came up before."""
    return each.key.removeprefix("again:") in first


def _same(before: Given, after: Given) -> bool:
    if before.choice:
        return before.preferred == after.preferred
    return all(abs(before.ratings[name] - point) <= 1 for name, point in after.ratings.items())


def _pairs(session: Session, counted: Sequence[tuple[str, Given]], samples: int) -> Pairs:
    one, other = session.systems
    credit = {one: 1.0, other: 0.0}
    by_row: dict[str, list[float]] = defaultdict(list)
    for _, each in counted:
        by_row[each.unit].append(credit.get(each.preferred, 0.5))
    means = np.array([np.mean(votes) for votes in by_row.values()])
    votes = Counter(each.preferred for _, each in counted)
    sides = np.array([each.choice == "left" for _, each in counted if each.choice in ("left", "right")], dtype=float)
    choices = [Rating(each.unit, rater, each.preferred) for rater, each in counted]
    seed = session.settings.seed
    return Pairs(
        win_rate=replace(interval_of(Measure("win_rate", means), samples=samples, seed=seed), seed=seed),
        paired=_sign_test(means - 0.5),
        votes={name: votes[name] for name in (one, other, TIE, BOTH_BAD)},
        left=interval_of(Measure("left", sides), samples=samples, seed=seed) if len(sides) else None,
        agreement=krippendorff_alpha(choices, "nominal", seed=seed),
        fleiss=fleiss_kappa(choices, seed=seed),
        pairs=tuple(every_pair(choices)),
    )


def _scale(session: Session, rubric: Rubric, counted: Sequence[tuple[str, Given]], samples: int) -> Scale:
    by_system: dict[str, dict[str, list[float]]] = {system: defaultdict(list) for system in session.systems}
    for _, each in counted:
        by_system[each.shown[0]][each.unit].append(float(each.ratings[rubric.name]))
    means = {
        system: {row: float(np.mean(points)) for row, points in rows.items()} for system, rows in by_system.items()
    }
    seed = session.settings.seed
    points = [Rating(f"{e.unit}\0{e.shown[0]}", rater, float(e.ratings[rubric.name])) for rater, e in counted]
    scale = [float(point) for point in rubric.points]
    difference, paired = None, None
    if len(session.systems) == 2:
        one, other = (means[system] for system in session.systems)
        apart = np.array([one[row] - other[row] for row in one if row in other])
        if len(apart):
            difference = replace(bootstrap(Measure(f"{rubric.name}_difference", apart), samples, seed), seed=seed)
            paired = _sign_test(apart)
    return Scale(
        rubric=rubric,
        means={
            system: replace(
                bootstrap(Measure(rubric.name, np.array(list(rows.values()))), samples, seed),
                seed=seed,
                template=session.about.get("templates", {}).get(system, ""),
            )
            for system, rows in means.items()
            if rows
        },
        difference=difference,
        paired=paired,
        agreement=krippendorff_alpha(points, "ordinal", order=scale, seed=seed),
        pairs=tuple(every_pair(points, weights="linear", order=scale)),
    )


def _sign_test(apart: Floats) -> Paired:
    """On how many rows the first is ahead and on how many the second, and the exact test of the two numbers."""
    return mcnemar_exact((apart > 0).astype(np.float64), (apart < 0).astype(np.float64))
