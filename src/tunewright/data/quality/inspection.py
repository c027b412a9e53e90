"""What one measure of a data set says: a number, a verdict, a sentence, what to do, and the worst rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunewright.base.errors import TunewrightError

Verdict = Literal["act", "look", "good"]
VERDICTS: tuple[Verdict, ...] = ("act", "look", "good")

# The unit of a value in 0…1 that is shown as percent.
SHARE = "share"
# As many worst rows as a person reads.
WORST = 8

_OWN = ("title", "value", "unit", "verdict", "found", "meaning", "advice", "sampled", "worst")


@dataclass(frozen=True, slots=True)
class Case:
    """A row worth looking at: where it stands (`file:line`), its whole text, and why it is here."""

    place: str
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of labelled bars, in the order given. With the unit `share`, values in 0…1 are shown as percent."""

    title: str
    bars: tuple[tuple[str, float], ...]
    unit: str = "rows"


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of points (x, y), each perhaps with an interval (low, high) around its y; `fitted` is a line beside them.

    `across` and `up` name the axes. With `up_unit` `share`, y is shown as percent.
    """

    title: str
    points: tuple[tuple[float, float], ...]
    across: str
    up: str
    up_unit: str = ""
    intervals: tuple[tuple[float, float], ...] = ()
    fitted: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one measure found.

    Args:
        title: What a person calls it: "Copies".
        value: The one number to remember.
        unit: Of that number: "rows", "classes", "words"; `share` is shown as percent.
        verdict: `good`; `look`: a person should judge; `act`: training on it as it is would do harm.
        found: What was found, in one sentence.
        meaning: Why that matters, in a sentence or two.
        advice: What to do; empty where there is nothing to do.
        numbers: All that was measured, JSON-ready.
        worst: The rows that show it best, the worst first, at most `WORST`.
        charts: What a page may draw of it.
        sampled: Where not all rows were looked at: which were, in words. Empty: all.
    """

    title: str
    value: float
    unit: str
    verdict: Verdict
    found: str
    meaning: str
    advice: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    worst: tuple[Case, ...] = ()
    charts: tuple[Bars | Curve, ...] = ()
    sampled: str = ""

    @property
    def figure(self) -> str:
        """The value with its unit: `12.5%`, `31 rows`, `74.1 classes`."""
        return shown(self.value, self.unit)

    def as_json(self) -> dict[str, Any]:
        """The numbers, and beside them what they mean; charts, which only draw them, are left out.

        Raises:
            TunewrightError: If a number is called like one of the fields beside it.
        """
        if taken := set(self.numbers) & set(_OWN):
            raise TunewrightError(f"An inspection's number may not be called '{min(taken)}'", where=self.title)
        own = {name: getattr(self, name) for name in _OWN if name != "worst"}
        worst = [{"place": case.place, "text": case.text, "why": case.why} for case in self.worst]
        return {**own, **self.numbers, "worst": worst}


@dataclass(frozen=True, slots=True)
class NotRun:
    """A measure that would apply, and what it lacks: the reason, and what the user can do to have it."""

    reason: str
    advice: str = ""


def shown(value: float, unit: str) -> str:
    """A number with its unit; a share as percent, with a digit more where it is small."""
    if unit == SHARE:
        digits = 1 if value == 0 or abs(value) >= 0.001 else 2
        return f"{100 * value:.{digits}f}%"
    number = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.3g}"
    return f"{number} {unit}".rstrip()


def graded(value: float, *, look: float, act: float) -> Verdict:
    """`good` below `look`, `act` from `act` on, `look` between; for what is worse the more there is of it."""
    return "act" if value >= act else "look" if value >= look else "good"


def counted(count: int, what: str, several: str = "") -> str:
    """`1 row`, `2,345 rows`; `several` where the plural is not made with an s."""
    return f"{count:,} {what if count == 1 else several or what + 's'}"
