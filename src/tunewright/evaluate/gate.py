"""The gate: which bars an evaluation reaches, which it misses, and by how much. A miss keeps a model from release."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.base.errors import did_you_mean
from tunewright.evaluate.evaluate import TUNED, Evaluation
from tunewright.evaluate.paired import Difference
from tunewright.evaluate.power import ALPHA
from tunewright.evaluate.success import OPERATORS
from tunewright.metrics import about
from tunewright.recipe.gate import BAR, CHAMPION, COMPARISON, SLICE, VERSUS

_ENDS = ("low", "high")


@dataclass(frozen=True, slots=True)
class Ruling:
    """One bar of the gate.

    Args:
        what: What it is about, as the recipe has it: `exact_match`, `accuracy.low`, `vs_base`, `forgetting`.
        bar: What was asked: `>= 0.85`, `significant`.
        value: What was reached: a score, or for `vs_…` the difference of the main metric; None where it was not
            measured, or was no finite number.
        passed: Whether that is enough; a value that is not there never is.
        by: How far on the right side of the bar it is: negative where it missed; None without a value. For `vs_…` how
            far the interval's end that decides is from where it has to be, in the better direction.
        note: What else there is to know, in a sentence; empty if nothing.
    """

    what: str
    bar: str
    value: float | None
    passed: bool
    by: float | None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """`{what, bar, value, passed, by, note}`."""
        return {name: getattr(self, name) for name in self.__slots__}


def check_gate(gate: Mapping[str, str], evaluation: Evaluation, *, absent: Iterable[str] = ()) -> list[Ruling]:
    """Holds an evaluation of the tuned model against each bar of a gate, in the recipe's order.

    Args:
        gate: What is asked, by what it is about: a metric of the tuned model, `cut`, a finding of a probe, any of them
            with `.low` or `.high` for an end of its interval, `slice.BY=VALUE.METRIC`, and `vs_SYSTEM`.
        evaluation: What was measured. Bars are read as the recipe has checked them.
        absent: Systems that cannot answer because there are none yet: a comparison with one has nothing to be lost.
    """
    return [_rule(what, bar.strip(), evaluation, frozenset(absent)) for what, bar in gate.items()]


def _rule(what: str, bar: str, evaluation: Evaluation, absent: frozenset[str]) -> Ruling:
    if what.startswith(VERSUS):
        return _compare(what, bar, evaluation, absent)
    value, note = _slice_value(what, evaluation) if what.startswith(SLICE) else _value(what, evaluation)
    if value is None:
        return Ruling(what, bar, None, passed=False, by=None, note=note)
    if not math.isfinite(value):
        return Ruling(what, bar, None, passed=False, by=None, note=f"It was measured as {value}, which is no number.")
    sign, wanted = _read(BAR, bar)
    limit = float(wanted)
    by = limit - value if sign in ("<=", "<") else value - limit if sign in (">=", ">") else -abs(value - limit)
    return Ruling(what, bar, value, passed=OPERATORS[sign](value, limit), by=by, note=note)


def _read(pattern: str, bar: str) -> tuple[str, str]:
    read = re.match(pattern, bar)
    assert read is not None, "the recipe has checked it"
    return read[1], read[2] or ""


def _value(what: str, evaluation: Evaluation) -> tuple[float | None, str]:
    """A number by its name, and a note on it."""
    known = _numbers(evaluation)
    name, _, end = what.rpartition(".")
    if what not in known and end in _ENDS and name in known:
        ends = known[name]
        found = ends[1] if end == "low" else ends[2]
        return found, "" if found is not None else f"'{name}' has no interval."
    if what in known:
        return known[what][0], ""
    return None, f"It was not measured. {did_you_mean(what, known)}Measured: {', '.join(known)}."


def _numbers(evaluation: Evaluation) -> dict[str, tuple[float, float | None, float | None]]:
    """Value and both ends of its interval for all that was measured of the tuned model, by name."""
    numbers: dict[str, tuple[float, float | None, float | None]] = {}
    if TUNED in evaluation.systems:
        scores = evaluation.systems[TUNED]
        for name, interval in {**scores.metrics, "cut": scores.cut}.items():
            numbers[name] = (interval.value, interval.low, interval.high)
    for finding in evaluation.findings:
        numbers.setdefault(finding.name, (finding.value, finding.low, finding.high))
    return numbers


def parse_slice(what: str) -> tuple[str, str, str, str]:
    """`slice.language=de.accuracy.low` as `("language", "de", "accuracy", "low")`; the last is empty without an end."""
    by, _, rest = what.removeprefix(SLICE).partition("=")
    end = ""
    if rest.rpartition(".")[2] in _ENDS and rest.count(".") >= 2:
        rest, _, end = rest.rpartition(".")
    value, _, metric = rest.rpartition(".")
    return by, value, metric, end


def _slice_value(what: str, evaluation: Evaluation) -> tuple[float | None, str]:
    by, value, metric, end = parse_slice(what)
    slices = evaluation.slices
    names = [each.name for each in slices.slices] if slices else []
    found = next((each for each in slices.slices if (each.by, each.value) == (by, value)), None) if slices else None
    if found is None or slices is None:
        return None, f"No such slice was measured. {did_you_mean(f'{by}={value}', names)}"
    few = f"It stands on {found.n:,} rows alone." if found.too_small else ""
    if metric == slices.metric:
        score = found.score
        return (score.low if end == "low" else score.high if end == "high" else score.value), few
    if end:
        return None, f"Of slices, only '{slices.metric}' has an interval."
    if metric not in found.metrics:
        known = [slices.metric, *found.metrics]
        return None, f"'{metric}' was not measured. {did_you_mean(metric, known)}Measured: {', '.join(known)}."
    return found.metrics[metric], few


def _compare(what: str, bar: str, evaluation: Evaluation, absent: frozenset[str]) -> Ruling:
    other = what.removeprefix(VERSUS)
    if other in absent:
        told = "no release of this name yet" if other == CHAMPION else f"no '{other}' yet"
        return Ruling(what, bar, None, passed=True, by=None, note=f"There is {told} to lose against.")
    found = next((each for each in evaluation.differences if (each.a, each.b) == (TUNED, other)), None)
    if found is None:
        known = [f"{VERSUS}{each.b}" for each in evaluation.differences]
        close = did_you_mean(what, known)
        return Ruling(what, bar, None, False, None, f"They were not compared on the main metric. {close}".strip())
    sign = -1.0 if (known_as := about(found.metric)) and known_as.less_is_better else 1.0
    low, high = sorted((sign * found.low, sign * found.high))
    word, margin = _read(COMPARISON, bar)
    p = found.p if found.p_corrected is None else found.p_corrected
    if word == "significant":
        return Ruling(what, bar, found.value, p < ALPHA and sign * found.value > 0, low, _told(found, p))
    if margin:
        return Ruling(what, bar, found.value, low >= -float(margin), low + float(margin), _told(found, p))
    # Not corrected: the correction is there to make a claim harder, and here it would make it easier.
    worse = found.p < ALPHA and sign * found.value < 0
    return Ruling(what, bar, found.value, not worse, high, _told(found, found.p))


def _told(found: Difference, p: float) -> str:
    return (
        f"{found.metric}: {found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f}), p = {p:.4f}; these {found.n:,} "
        f"rows show no less than {found.detectable:.4f}."
    )
