"""Judges held against people: ratings that people gave to the same answers, and how far both agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.base.errors import SHOWN_FAULTS, DataError, collect
from tunewright.data.readers import read_rows
from tunewright.data.rows import Fault, Row, as_text
from tunewright.evaluate.agreement import Coefficient, Level, Rating, cohen_kappa, krippendorff_alpha
from tunewright.recipe.schema import Source

JUDGE = "judge"
NOT_HELD = "Not held against people yet."
_TIES = ("tie", "both bad", "both_bad", "neither")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person said of one row.

    Args:
        id: The row's.
        rater: Who.
        rating: A point of a scale; None where a choice was made.
        choice: The system whose answer is better, or `tie`; empty where a rating was given.
        about: The rubric or criterion; empty: whichever is asked about.
        system: Whose answer; empty: the one that is asked about.
        answer: The answer that the person saw; empty where the file does not say.
    """

    id: str
    rater: str
    rating: float | None = None
    choice: str = ""
    about: str = ""
    system: str = ""
    answer: str = ""


def read_opinions(path: str | Path) -> list[Opinion]:
    """Reads people's ratings: a file of rows with `id`, `rater`, and `rating` or `choice`.

    `rubric` (or `criterion`), `system` and `answer` may stand beside them, as `eval review` exports them.

    Raises:
        DataError: If the file cannot be read, or rows of it say nothing or no number; lists the first.
    """
    found: list[Opinion] = []
    faults: list[str] = []
    for row in read_rows(Source(path=str(path))):
        if isinstance(row, Fault):
            faults.append(str(row))
            continue
        try:
            found.append(_opinion(row))
        except DataError as error:
            faults.append(f"{row.file}:{row.line}: {error.what}")
    if faults:
        raise DataError(
            f"{len(faults):,} ratings cannot be read\n{collect(faults[:SHOWN_FAULTS], total=len(faults))}\n",
            where=str(path),
            hint="Each row needs `id`, `rater`, and a `rating` (a number) or a `choice`.",
        )
    return found


def _opinion(row: Row) -> Opinion:
    def cell(*names: str) -> str:
        return next((text.strip() for name in names if (text := as_text(row.values.get(name)))), "")

    if missing := [name for name in ("id", "rater") if not cell(name)]:
        raise DataError(f"'{missing[0]}' is empty")
    rating, choice = cell("rating"), cell("choice")
    if bool(rating) == bool(choice):
        raise DataError("it says neither a rating nor a choice" if not rating else "it says a rating and a choice")
    about = cell("rubric", "criterion")
    return Opinion(
        cell("id"), cell("rater"), _number(rating) if rating else None, choice, about, cell("system"), cell("answer")
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"the rating {text!r} is no number")
    return value


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge and people agree on the same answers.

    Args:
        kappa: Cohen's kappa of the judge and each person, by the person's name; weighted by squares on a scale.
        alpha: Krippendorff's alpha of the judge and all people.
        among_people: The same without the judge: what more could hardly be hoped for.
        rows: Answers that both the judge and a person judged.
        strange: Opinions on rows that were not judged, or on answers that have changed since.
    """

    kappa: Mapping[str, Coefficient]
    alpha: Coefficient
    among_people: Coefficient
    rows: int
    strange: int

    def as_rows(self) -> list[dict[str, Any]]:
        """The coefficients as a table."""
        rows = [{"between": f"judge and {rater}", **_line(found)} for rater, found in self.kappa.items()]
        rows.append({"between": "judge and all people", **_line(self.alpha)})
        if self.among_people.n:
            rows.append({"between": "people among themselves", **_line(self.among_people)})
        return rows

    @property
    def sentence(self) -> str:
        """The agreement in one line."""
        if not self.rows:
            return f"{NOT_HELD} None of the people's ratings is of an answer that was judged."
        each = ", ".join(f"κ {_shown(found)} with {rater}" for rater, found in self.kappa.items())
        left = f"; of other rows, or of answers that changed since: {self.strange:,}" if self.strange else ""
        return f"{each}; Krippendorff's α {_shown(self.alpha)}, on {self.rows:,} answers{left}."


def _line(found: Coefficient) -> dict[str, Any]:
    about = {"coefficient": found.name.replace("_", " "), "value": found.value, "low": found.low, "high": found.high}
    return about | {"answers": found.n}


def _shown(found: Coefficient) -> str:
    return "not defined" if found.value is None else f"{found.value:.2f}"


def agree_on_scale(
    opinions: Sequence[Opinion],
    judged: Mapping[str, int],
    answers: Mapping[str, str],
    *,
    rubric: str,
    system: str,
    scale: Sequence[int],
    seed: int,
) -> Agreement:
    """Holds scores against people's ratings.

    Args:
        opinions: Of anything; those about this rubric and system are taken.
        judged: The judge's point for each row.
        answers: What was judged, by row.
        rubric: Its name.
        system: Whose answers they are.
        scale: The points.
        seed: For the intervals.

    Raises:
        DataError: If a person's rating is no point of the scale.
    """
    mine = [each for each in opinions if each.rating is not None and _is_about(each, rubric, system)]
    if off := sorted({each.rating for each in mine if each.rating not in scale}, key=str):
        raise DataError(
            f"People rated '{rubric}' with {', '.join(f'{value:g}' for value in off if value is not None)}, and its "
            f"scale has {', '.join(map(str, scale))}",
            where="people",
        )
    ratings = [Rating(row, JUDGE, float(point)) for row, point in judged.items()]
    return _agreement(mine, ratings, answers, level="ordinal", order=[float(point) for point in scale], seed=seed)


def agree_on_pairs(opinions: Sequence[Opinion], judged: Mapping[str, str], *, seed: int) -> Agreement:
    """Holds verdicts on pairs (a system's name, or `tie`) against what people chose."""
    mine = [each for each in opinions if each.choice]
    ratings = [Rating(row, JUDGE, verdict) for row, verdict in judged.items()]
    return _agreement(mine, ratings, {}, level="nominal", order=(), seed=seed)


def _agreement(
    opinions: Sequence[Opinion],
    judge: Sequence[Rating],
    answers: Mapping[str, str],
    *,
    level: Level,
    order: Sequence[float],
    seed: int,
) -> Agreement:
    rows = {each.unit for each in judge}
    known = [each for each in opinions if each.id in rows and _is_of(each, answers)]
    people = [Rating(each.id, _name(each.rater), _value(each)) for each in known]
    both = [*judge, *people]
    weights = "quadratic" if level == "ordinal" else None
    raters = sorted({each.rater for each in people})
    return Agreement(
        kappa={
            rater: cohen_kappa(both, (JUDGE, rater), weights=weights, order=order, seed=seed)  # type: ignore[arg-type]
            for rater in raters
        },
        alpha=krippendorff_alpha(both, level, order=order, seed=seed),
        among_people=krippendorff_alpha(people, level, order=order, seed=seed),
        rows=len({each.unit for each in people}),
        strange=len(opinions) - len(known),
    )


def _is_about(opinion: Opinion, rubric: str, system: str) -> bool:
    return opinion.about in ("", rubric) and opinion.system in ("", system)


def _is_of(opinion: Opinion, answers: Mapping[str, str]) -> bool:
    """Whether the person saw the answer that was judged; a file that does not say is believed."""
    return not opinion.answer or opinion.answer.strip() == answers.get(opinion.id, opinion.answer).strip()


def _name(rater: str) -> str:
    return f"{rater} (a person)" if rater == JUDGE else rater


def _value(opinion: Opinion) -> str | float:
    if opinion.rating is not None:
        return opinion.rating
    return "tie" if opinion.choice.lower() in _TIES else opinion.choice
