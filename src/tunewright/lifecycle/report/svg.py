"""The few SVG elements that the charts are drawn with, as escaped text, and round numbers for axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

Point = tuple[float, float]
Scale = Callable[[float], float]

NOTHING = Markup("")


def document(size: tuple[float, float], name: str, title: str, described: str, parts: Sequence[Markup]) -> Markup:
    """A whole drawing of a width and height in px, with a title and a description for those who do not see it.

    `name` must be unique on its page.
    """
    opening = Markup(
        '<svg role="img" viewBox="0 0 {} {}" width="{}" height="{}" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>'
    )
    across, down = math.ceil(size[0]), math.ceil(size[1])
    head = opening.format(across, down, across, down, name, name, name, title, name, described)
    return head + NOTHING.join(parts) + Markup("</svg>")


def shape(tag: str, style: str, hint: str = "", **attributes: float | str) -> Markup:
    """One element. Numbers are px, written to a tenth; `hint` is what pointing at it shows."""
    one = Markup(' {}="{}"')
    written = NOTHING.join(
        one.format(name.replace("_", "-"), value if isinstance(value, str) else f"{value:.1f}")
        for name, value in attributes.items()
    )
    inside = Markup("<title>{}</title>").format(hint) if hint else NOTHING
    return Markup('<{}{} class="{}">{}</{}>').format(tag, written, style, inside, tag)


def text(x: float, y: float, words: str, style: str) -> Markup:
    """A line of text; `y` is its base line. Styles `middle` and `end` anchor it."""
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(f"{x:.1f}", f"{y:.1f}", style, words)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A straight line."""
    return shape("line", style, x1=x1, y1=y1, x2=x2, y2=y2)


def path(points: Sequence[Point], x: Scale, y: Scale, style: str) -> Markup:
    """A line through points."""
    return shape("path", style, d="M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points))


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Maps `low`…`high` to `start`…`end`."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """The same on a logarithmic scale; `low` and all values are above 0."""
    inner = linear(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(value))


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) within `low`…`high`."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within `low`…`high`; the powers alone where that is more than seven."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [factor * 10.0**power for power in powers for factor in (1, 2, 5) if low <= factor * 10.0**power <= high]
    if len(inside) <= 7:
        return inside
    return [10.0**power for power in powers if low <= 10.0**power <= high]
