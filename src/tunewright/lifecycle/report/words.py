"""Numbers as words: percent, spans of time, sizes, and what a p value says to someone who has never met one."""

from __future__ import annotations

import datetime
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunewright.metrics import About

SYSTEM_NAMES = {
    "base": "Base model",
    "base_few_shot": "Base, few-shot",
    "bag_of_words": "Bag of words",
    "tuned": "Tuned model",
}

# What is measured of every system beside its metrics; a metric's own file says what that one is called and means.
_BESIDE = {"cut": "Answers cut at the length limit"}

_SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "==": "exactly"}


def number(value: object) -> float | None:
    """The value as a finite float, or None where it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def count(value: object) -> str:
    """`12,345`; a dash where there is no number."""
    found = number(value)
    return "–" if found is None else f"{found:,.0f}"


def rows(value: object) -> str:
    """`1 row`, `12,345 rows`."""
    return f"{count(value)} row{'' if number(value) == 1 else 's'}"


def percent(share: float, digits: int = 1) -> str:
    """A share in 0…1 as percent: `87.5%`."""
    return f"{100 * share:.{digits}f}%"


def plain(value: float) -> str:
    """A number that is no share, to three significant digits: `1.08`, `24.3`, `1,530`."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def score(value: float, *, share: bool) -> str:
    """A metric's value in its own form."""
    return percent(value) if share else plain(value)


def interval(low: float, high: float, *, share: bool) -> str:
    """`82.0–91.5%`, `1.05–1.12`."""
    return f"{100 * low:.1f}–{100 * high:.1f}%" if share else f"{plain(low)}–{plain(high)}"


def system_name(system: str) -> str:
    """How the page calls a system."""
    return SYSTEM_NAMES.get(system) or _spaced(system)


def system_phrase(system: str) -> str:
    """The same within a sentence: one of ours with an article, and another by its own name."""
    return f"the {SYSTEM_NAMES[system].lower()}" if system in SYSTEM_NAMES else system_name(system)


def metric_name(metric: str) -> str:
    """How the page calls a metric: by its title, `order_id_accuracy` as "Order id right"."""
    known = _about(metric)
    return known.title if known else _BESIDE.get(metric) or _spaced(metric)


def metric_meaning(metric: str) -> str:
    """What a metric measures, in a clause; empty where it is not known."""
    known = _about(metric)
    return known.meaning if known else ""


def field_of(metric: str) -> str:
    """The field whose accuracy a metric is, or an empty string."""
    return metric.removesuffix("_accuracy") if metric.endswith("_accuracy") else ""


def less_is_better(metric: str) -> bool:
    """Whether a smaller value is the better one."""
    known = _about(metric)
    return known.less_is_better if known else metric.endswith(("perplexity", "loss"))


def is_share(metric: str) -> bool:
    """Whether a metric lies in 0…1 and reads as percent; so does one that no file knows, unless less is better."""
    known = _about(metric)
    return known.is_share if known else not less_is_better(metric)


def parse_condition(condition: str) -> tuple[str, float] | None:
    """`">= 0.9"` as `(">=", 0.9)`, or None where it is written otherwise."""
    found = re.fullmatch(r"\s*(>=|<=|>|<|==)\s*(-?\d+(?:\.\d+)?)\s*", condition)
    return (found[1], float(found[2])) if found else None


def bar_words(sign: str, bar: float, *, share: bool) -> str:
    """`at least 90%`."""
    text = f"{100 * bar:.10g}%" if share else f"{bar:g}"
    return f"{_SIGNS[sign]} {text}"


def distance(value: float, bar: float, *, share: bool) -> str:
    """How far a value lies from its bar: `7.5 points above`. Never rounds a difference to nothing."""
    scale = 100 if share else 1
    gap = (value - bar) * scale
    if abs(gap) < 1e-9:
        return "exactly on the bar"
    text = f"{abs(gap):.1f}" if share and abs(gap) >= 0.05 else f"{abs(gap):.2g}"
    unit = (" point" if text == "1.0" else " points") if share else ""
    return f"{text}{unit} {'above' if gap > 0 else 'below'}"


def value_beside_bar(value: float, bar: float, *, share: bool) -> str:
    """The value with as many decimals as it takes not to look like the bar when it is not."""
    if not share:
        return f"{value:.6g}" if plain(value) == plain(bar) and value != bar else plain(value)
    for digits in range(1, 6):
        if percent(value, digits) != percent(bar, digits):
            return percent(value, digits)
    return percent(value)


def chance(p: float) -> str:
    """What a p value says: how often chance alone would show a difference as large as this one."""
    if p < 1e-4:
        return "chance would do this less than once in 10,000 times"
    if p < 0.01:
        return f"chance would do this about once in {_round_two(1 / p):,.0f} times"
    if p < 0.995:
        return f"chance alone would do this about {100 * p:.0f} times in 100"
    return "chance alone would do this nearly every time"


def p_value(p: float) -> str:
    """`< 0.0001`, `0.0123`."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(byte_count: float) -> str:
    """`512 B`, `3.2 MB`, `2.5 GB`: powers of 1000."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if byte_count >= scale:
            return f"{byte_count / scale:.1f} {unit}"
    return f"{byte_count:.0f} B"


def moment(text: str) -> str:
    """An ISO time as `1 March 2026, 14:05 UTC`; anything else as it is."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = f" {found.tzname()}" if found.tzinfo else ""
    clock = f", {found:%H:%M}{zone}" if len(text) > len("2026-03-01") else ""
    return f"{found.day} {found:%B %Y}{clock}"


def _round_two(value: float) -> float:
    magnitude = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(value / magnitude) * magnitude


def _about(metric: str) -> About | None:
    from tunewright.metrics import about  # here, so that what only counts and dates needs no numpy

    return about(metric)


def _spaced(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]
