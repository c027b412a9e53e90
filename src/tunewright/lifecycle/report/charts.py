"""Charts as inline SVG text: loss curves, intervals, bars per field, a confusion matrix.

Each function is pure: plain numbers in, one `<svg>` out, drawn for a width in CSS pixels, so that a page can hold one
drawing for the desktop and one for the phone with letters of the same size. Colours are CSS classes of the page
(`s-base`, `s-tuned`, …). Whatever text comes in is escaped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunewright.lifecycle.report import svg
from tunewright.lifecycle.report.svg import Point, Scale

_LETTER = 6.6  # widest usual width of a letter at 12 px, in px: labels are measured with it, so they never collide
_MOST_POINTS = 1200
_LOG_FROM_RATIO = 20.0
_SMALL_MATRIX = 12


@dataclass(frozen=True)
class Mark:
    """One system's value of one metric, as shares in 0…1. `style` is the CSS class that colours it."""

    label: str
    style: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """A metric, or a field, and what each system reaches."""

    label: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Curves:
    """What a training run wrote down, as (step, value); of answers that were drawn the mean reward, else the loss."""

    train: Sequence[Point]
    validation: Sequence[Point]
    rates: Sequence[Point] = ()
    best_step: float | None = None
    rewards: bool = False

    @property
    def what(self) -> str:
        """What the values are."""
        return "Reward" if self.rewards else "Loss"


@dataclass(frozen=True)
class _Box:
    """The rectangle inside a drawing that holds the data."""

    left: float
    right: float
    top: float
    bottom: float


def smooth(points: Sequence[Point], reach: int | None = None) -> list[Point]:
    """Mean over each point and its neighbours, `reach` to either side, or as many as there are.

    Centred, so that the smoothed curve does not lag behind the raw one. By default `reach` is a fortieth of the points.
    """
    reach = len(points) // 40 if reach is None else reach
    sums = [0.0, *itertools.accumulate(y for _, y in points)]
    out = []
    for index, (x, _) in enumerate(points):
        first, last = max(0, index - reach), min(len(points), index + reach + 1)
        out.append((x, (sums[last] - sums[first]) / (last - first)))
    return out


def finite(points: Sequence[tuple[float, float]]) -> list[Point]:
    """The points whose values are finite numbers."""
    return [(float(x), float(y)) for x, y in points if y is not None and math.isfinite(y)]


def thin(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """At most `most` points: of each stretch the lowest and the highest, so that the drawn envelope stays true."""
    if len(points) <= most:
        return list(points)
    stretches = max(1, most // 2)
    out = []
    for index in range(stretches):
        part = points[index * len(points) // stretches : (index + 1) * len(points) // stretches]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        out += sorted(ends)
    return out


def loss_chart(curves: Curves, *, width: int, name: str) -> Markup:
    """Loss, or reward, per step: raw (faint) and smoothed in training, points in validation, the learning rate below.

    The loss axis is logarithmic where the largest loss is more than twenty times the smallest.
    """
    smoothed = smooth(curves.train)
    every = [*smoothed, *curves.validation] or list(curves.train)
    narrow = width < 500
    height = 220 if narrow else 300
    top = 46 if narrow else 34
    box = _Box(52, width - 14, top, top + height)
    rates_box = _Box(box.left, box.right, box.bottom + 28, box.bottom + 28 + 52)
    has_rates = len(curves.rates) > 1
    floor = rates_box.bottom if has_rates else box.bottom
    x = svg.linear(0, max(point[0] for point in [*every, *curves.rates]), box.left, box.right)
    logarithmic = not curves.rewards and _wants_log([*curves.train, *curves.validation])
    y, ticks = _loss_axis([*curves.train, *every], box, logarithmic=logarithmic)
    unit = "Reward" if curves.rewards else "Loss, nats per token" + (", log scale" if logarithmic else "")
    parts = [_grid_y(ticks, y, box), svg.text(4, 12, unit, "axis-title")]
    parts += _legend(curves, width)
    parts += [svg.path(thin(curves.train), x, y, "line raw s-tuned")] if len(curves.train) > 1 else []
    parts += [svg.path(thin(smoothed), x, y, "line s-tuned")] if len(smoothed) > 1 else _dots(smoothed, x, y, "s-tuned")
    parts += [svg.path(curves.validation, x, y, "line s-base_few_shot")] if len(curves.validation) > 1 else []
    parts += _dots(curves.validation, x, y, "s-base_few_shot", what="validation")
    parts += _best(curves, x, box)
    if has_rates:
        parts += _rates(curves.rates, x, rates_box)
    parts += _axis_x(svg.nice_ticks(0, x_end(every), 4 if narrow else 8), x, floor, "Optimiser step", box)
    return svg.document(
        (width, floor + 44), name, f"{curves.what} during training", _describe_curves(curves, smoothed), parts
    )


def x_end(points: Sequence[Point]) -> float:
    """The last step of a curve, at least 1."""
    return max([1.0, *(point[0] for point in points)])


def interval_chart(groups: Sequence[Group], *, width: int, name: str) -> Markup:
    """A dot and a 95 % whisker per system, grouped by metric, on one axis from 0 to 100 %."""
    narrow = width < 500
    texts = {id(mark): _mark_text(mark, short=narrow) for group in groups for mark in group.marks}
    longest = max((len(mark.label) for group in groups for mark in group.marks), default=0)
    box = _Box(longest * _LETTER + 14, width - max(map(len, texts.values()), default=0) * _LETTER - 18, 0, 0)
    x = svg.linear(0, 1, box.left, box.right)
    parts: list[Markup] = []
    top = 0.0
    for group in groups:
        parts.append(svg.text(0, top + 18, group.label, "group"))
        top += 28
        parts += _columns(x, top - 2, top + 22 * len(group.marks))
        for mark in group.marks:
            middle = top + 10
            parts.append(svg.text(0, middle + 4, mark.label, "label"))
            parts.append(svg.line(box.left, middle, box.right, middle, "track"))
            parts += _whisker(mark, x, middle)
            parts.append(_shape(x(_clip(mark.value)), middle, mark.style))
            parts.append(svg.text(width - 2, middle + 4, texts[id(mark)], "value end"))
            top += 22
        top += 8
    axis = _percent_axis(x, top, box, narrow=narrow)
    described = "; ".join(f"{group.label}: {_list_marks(group)}" for group in groups)
    return svg.document((width, top + 42), name, "Each system's scores with 95% intervals", described, [*parts, *axis])


def bar_chart(groups: Sequence[Group], *, width: int, name: str) -> Markup:
    """One block per field, one horizontal bar per system, with its 95 % whisker, from 0 to 100 %."""
    narrow = width < 500
    longest = max((len(group.label) for group in groups), default=0)
    left = 0.0 if narrow else longest * _LETTER * 1.08 + 14
    box = _Box(left, width - 56, 0, 0)
    x = svg.linear(0, 1, box.left, box.right)
    parts: list[Markup] = []
    top = 22.0
    parts += _swatches([(mark.label, mark.style) for mark in groups[0].marks] if groups else [], box.left)
    for group in groups:
        block = 15 * len(group.marks)
        if narrow:
            parts.append(svg.text(0, top + 18, group.label, "group"))
            top += 24
        else:
            parts.append(svg.text(0, top + 8 + block / 2 + 4, group.label, "group"))
            top += 8
        parts += _columns(x, top, top + block)
        for mark in group.marks:
            wide = max(0.0, x(_clip(mark.value)) - box.left)
            hint = f"{group.label}, {mark.label}: {_mark_text(mark, short=False)}"
            parts.append(_bar((box.left, top + 1), wide, mark.style, hint))
            parts += _whisker(mark, x, top + 7, over_bar=True)
            parts.append(svg.text(width - 2, top + 11, f"{100 * mark.value:.1f}%", "value end"))
            top += 15
        top += 6
    axis = _percent_axis(x, top, box, narrow=narrow, label="Share of rows with it right")
    described = "; ".join(f"{group.label}: {_list_marks(group)}" for group in groups)
    return svg.document((width, top + 42), name, "Share right, per field", described, [*parts, *axis])


def confusion_chart(labels: Sequence[str], counts: Sequence[Sequence[int]], *, width: int, name: str) -> Markup:
    """Expected labels down, answers across; a cell's strength is its share of the row.

    Up to twelve labels: names at the rows, counts in the cells. More: cells only, numbered each ten. A last column
    beyond the labels holds answers that are none of them.
    """
    small = len(labels) <= _SMALL_MATRIX
    columns = max((len(row) for row in counts), default=len(labels))
    letters = max((len(label) for label in labels), default=0)
    narrow = width < 500
    left = min((letters + 4) * _LETTER + 8, 130.0 if narrow else 240.0) if small else 46.0
    cell = min((width - left - 4) / max(1, columns), 46.0)
    box = _Box(left, left + cell * columns, 40, 40 + cell * len(labels))
    parts = [svg.text(box.right, 12, "Answered →", "axis-title end"), svg.text(0, 12, "Expected ↓", "axis-title")]
    parts += _matrix_names(labels, columns, box, cell) if small else _matrix_numbers(len(labels), box, cell)
    parts.append(svg.shape("rect", "matrix", x=box.left, y=box.top, width=cell * columns, height=cell * len(labels)))
    for row, label in enumerate(labels):
        total = sum(counts[row])
        for column, found in enumerate(counts[row]):
            if found:
                at = (box.left + column * cell, box.top + row * cell)
                answered = labels[column] if column < len(labels) else "none of the labels"
                hint = f"expected {label}, answered {answered}: {found} of {total}"
                parts.append(_cell(at, cell, (found, total), hit=row == column, hint=hint, counted=small))
    total, right = sum(map(sum, counts)), sum(row[index] for index, row in enumerate(counts) if index < len(row))
    described = (
        f"{len(labels)} labels, {total:,} rows; {right:,} of them lie on the diagonal, where the answer is right."
    )
    return svg.document((box.right + 2, box.bottom + 8), name, "Expected labels against answers", described, parts)


def shorten(text: str, most: int) -> str:
    """The text, its middle left out where it is longer than `most` letters."""
    if len(text) <= most:
        return text
    tail = max(1, (most - 1) // 3)
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def _dots(points: Sequence[Point], x: Scale, y: Scale, style: str, *, what: str = "training") -> list[Markup]:
    return [
        svg.shape("circle", f"dot {style}", f"{what}, step {at:,g}: {value:.4g}", cx=x(at), cy=y(value), r=3.2)
        for at, value in points
    ]


def _wants_log(points: Sequence[Point]) -> bool:
    values = [value for _, value in points]
    return bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_FROM_RATIO


def _loss_axis(points: Sequence[Point], box: _Box, *, logarithmic: bool) -> tuple[Scale, list[float]]:
    values = [value for _, value in points]
    if logarithmic:
        low, high = min(values) * 0.9, max(values) * 1.1
        return svg.logarithmic(low, high, box.bottom, box.top), svg.log_ticks(low, high)
    low, high = min([0.0, *values]), max(values) * 1.05 or 1.0
    return svg.linear(low, high, box.bottom, box.top), svg.nice_ticks(low, high, 5)


def _grid_y(ticks: Sequence[float], y: Scale, box: _Box) -> Markup:
    lines = [svg.line(box.left, y(tick), box.right, y(tick), "grid") for tick in ticks]
    texts = [svg.text(box.left - 8, y(tick) + 4, f"{tick:g}", "tick end") for tick in ticks]
    return svg.NOTHING.join([*lines, *texts])


def _axis_x(ticks: Sequence[float], x: Scale, y: float, label: str, box: _Box) -> list[Markup]:
    parts = [svg.line(box.left, y, box.right, y, "axis")]
    for tick in ticks:
        parts += [svg.line(x(tick), y, x(tick), y + 4, "axis"), svg.text(x(tick), y + 18, f"{tick:,g}", "tick middle")]
    return [*parts, svg.text((box.left + box.right) / 2, y + 38, label, "axis-title middle")]


def _columns(x: Scale, top: float, bottom: float) -> list[Markup]:
    return [svg.line(x(at), top, x(at), bottom, "grid") for at in (0, 0.25, 0.5, 0.75, 1)]


def _percent_axis(
    x: Scale, y: float, box: _Box, *, narrow: bool, label: str = "Score, with 95% interval"
) -> list[Markup]:
    parts = [svg.line(box.left, y, box.right, y, "axis")]
    # On the phone the axis is some 150 px long: three numbers fit, five would touch.
    for at in (0, 0.5, 1) if narrow else (0, 0.25, 0.5, 0.75, 1):
        parts += [svg.line(x(at), y, x(at), y + 4, "axis"), svg.text(x(at), y + 18, f"{100 * at:.0f}%", "tick middle")]
    return [*parts, svg.text((box.left + box.right) / 2, y + 38, label, "axis-title middle")]


def _legend(curves: Curves, width: int) -> list[Markup]:
    names = [("training, smoothed", "s-tuned")] if curves.train else []
    names += [("validation", "s-base_few_shot")] if curves.validation else []
    parts: list[Markup] = []
    right = float(width - 14)
    y = 12.0 if width >= 500 else 28.0
    for text, style in reversed(names):
        right -= len(text) * _LETTER
        parts.append(svg.text(right, y, text, "label"))
        parts.append(svg.line(right - 24, y - 4, right - 6, y - 4, f"line {style}"))
        if style != "s-tuned":
            parts.append(svg.shape("circle", f"dot {style}", cx=right - 15, cy=y - 4, r=3.2))
        right -= 38
    return parts


def _swatches(names: Sequence[tuple[str, str]], left: float) -> list[Markup]:
    parts: list[Markup] = []
    for text, style in names:
        parts.append(_bar((left, 2), 12, style))
        parts.append(svg.text(left + 17, 12, text, "label"))
        left += 17 + len(text) * _LETTER + 18
    return parts


def _bar(at: Point, wide: float, style: str, hint: str = "") -> Markup:
    return svg.shape("rect", f"bar {style}", hint, x=at[0], y=at[1], width=wide, height=12.0, rx=1.5)


def _best(curves: Curves, x: Scale, box: _Box) -> list[Markup]:
    if curves.best_step is None:
        return []
    at = x(curves.best_step)
    style = "tick end" if at > (box.left + box.right) / 2 else "tick"
    return [
        svg.line(at, box.top, at, box.bottom, "best-line"),
        svg.text(at - 5 if style == "tick end" else at + 5, box.top + 11, f"kept: step {curves.best_step:,g}", style),
    ]


def _rates(rates: Sequence[Point], x: Scale, box: _Box) -> list[Markup]:
    top = max(rate for _, rate in rates) or 1.0
    y = svg.linear(0, top, box.bottom, box.top)
    return [
        svg.text(4, box.top - 10, "Learning rate", "axis-title"),
        svg.line(box.left, box.top, box.right, box.top, "grid"),
        svg.text(box.left - 8, box.top + 4, f"{top:.2g}", "tick end"),
        svg.text(box.left - 8, box.bottom + 4, "0", "tick end"),
        svg.path(thin(rates), x, y, "line s-base"),
    ]


def _whisker(mark: Mark, x: Scale, y: float, *, over_bar: bool = False) -> list[Markup]:
    if mark.low is None or mark.high is None:
        return []
    left, right = x(_clip(mark.low)), x(_clip(mark.high))
    # Half a whisker lies on its bar: without a pale edge it would not be seen there.
    styles = ["whisker halo", "whisker ink"] if over_bar else [f"whisker {mark.style}"]
    return [
        svg.line(*ends, style)
        for style in styles
        for ends in ((left, y, right, y), (left, y - 4, left, y + 4), (right, y - 4, right, y + 4))
    ]


def _shape(x: float, y: float, style: str) -> Markup:
    """A shape per system, so that colour alone never has to tell them apart."""
    if style == "s-base":
        return svg.shape("circle", f"hollow {style}", cx=x, cy=y, r=4.6)
    if style == "s-base_few_shot":
        points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
        return svg.shape("polygon", f"dot {style}", points=points)
    if style == "s-bag_of_words":
        return svg.shape("rect", f"dot {style}", x=x - 4.4, y=y - 4.4, width=8.8, height=8.8)
    return svg.shape("circle", f"dot {style}", cx=x, cy=y, r=5.4)


def _mark_text(mark: Mark, *, short: bool) -> str:
    value = f"{100 * mark.value:.1f}%"
    if short or mark.low is None or mark.high is None:
        return value
    return f"{value} ({100 * mark.low:.1f}–{100 * mark.high:.1f})"


def _list_marks(group: Group) -> str:
    return ", ".join(f"{mark.label} {_mark_text(mark, short=False)}" for mark in group.marks)


def _matrix_names(labels: Sequence[str], columns: int, box: _Box, cell: float) -> list[Markup]:
    most = int((box.left - 8) / _LETTER) - 3
    parts = []
    for index, label in enumerate(labels):
        y = box.top + (index + 0.5) * cell + 4
        parts.append(svg.text(box.left - 8, y, f"{shorten(label, most)} {index + 1}", "label end"))
    for column in range(columns):
        text = f"{column + 1}" if column < len(labels) else "none"
        parts.append(svg.text(box.left + (column + 0.5) * cell, box.top - 8, text, "tick middle"))
    return parts


def _matrix_numbers(length: int, box: _Box, cell: float) -> list[Markup]:
    parts = []
    for index in [0, *range(9, length, 10)]:
        middle = (index + 0.5) * cell
        parts.append(svg.text(box.left - 8, box.top + middle + 4, f"{index + 1}", "tick end"))
        parts.append(svg.text(box.left + middle, box.top - 8, f"{index + 1}", "tick middle"))
        parts.append(svg.line(box.left - 5, box.top + middle, box.left, box.top + middle, "axis"))
        parts.append(svg.line(box.left + middle, box.top - 5, box.left + middle, box.top, "axis"))
    return parts


def _cell(at: Point, side: float, found: tuple[int, int], *, hit: bool, hint: str, counted: bool) -> Markup:
    share = math.sqrt(found[0] / found[1])  # the root: a single confusion in forty must still be seen
    # Under a number the fill stays pale enough for the text's contrast; alone it may use the whole range.
    strength = 0.1 + 0.4 * share if counted else 0.25 + 0.75 * share
    gap = 0.5 if side > 3 else 0.0
    inner = side - 2 * gap
    square = svg.shape(
        "rect",
        "cell hit" if hit else "cell miss",
        hint,
        x=at[0] + gap,
        y=at[1] + gap,
        width=inner,
        height=inner,
        fill_opacity=f"{strength:.2f}",
    )
    if not counted:
        return square
    return square + svg.text(at[0] + side / 2, at[1] + side / 2 + 4, str(found[0]), "count middle")


def _clip(share: float) -> float:
    return min(1.0, max(0.0, share))


def _describe_curves(curves: Curves, smoothed: Sequence[Point]) -> str:
    words = []
    if smoothed:
        what = curves.what.lower()
        words.append(f"Training {what}, smoothed, goes from {smoothed[0][1]:.3g} to {smoothed[-1][1]:.3g}.")
    if curves.validation:
        best = (max if curves.rewards else min)(curves.validation, key=lambda point: point[1])
        extreme = "reward is highest" if curves.rewards else "loss is lowest"
        words.append(f"Validation {extreme}, {best[1]:.3g}, at step {best[0]:,g}.")
    return " ".join(words)
