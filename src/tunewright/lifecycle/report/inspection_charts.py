"""Charts of what inspections found: labelled bars, and points with intervals, each for a width in px."""

from __future__ import annotations

from markupsafe import Markup

from tunewright.data.quality.inspection import SHARE, Bars, Curve, shown
from tunewright.lifecycle.report import svg
from tunewright.lifecycle.report.charts import shorten

_LETTER = 6.6  # px, the widest usual width of a letter at 12 px
_LINE = 20  # px from one bar to the next
_STYLE = "s-tuned"


def draw(chart: Bars | Curve, *, width: int, name: str) -> Markup:
    """A chart as one `<svg>`. `name` must be unique on its page."""
    return _bars(chart, width, name) if isinstance(chart, Bars) else _curve(chart, width, name)


def caption(chart: Bars | Curve) -> str:
    """What the marks of a chart are; empty where they speak for themselves."""
    if isinstance(chart, Bars):
        return ""
    parts = ["The dots are measured"] + (["the whiskers their intervals"] if chart.intervals else [])
    return f"{', '.join([*parts, *(['the grey line is fitted to them'] if chart.fitted else [])])}."


def _bars(chart: Bars, width: int, name: str) -> Markup:
    narrow = width < 500
    values = [value for _, value in chart.bars]
    told = [shown(value, SHARE if chart.unit == SHARE else "") for value in values]
    right = width - max(map(len, told), default=0) * _LETTER - 10
    most = 46 if narrow else 52
    labels = [shorten(label, most) for label, _ in chart.bars]
    left = 0.0 if narrow else min(max(map(len, labels), default=0) * _LETTER + 12, width * 0.45)
    x = svg.linear(0, max([*values, 1e-12]), left, right)
    parts: list[Markup] = []
    y = 4.0
    for label, value, text in zip(labels, values, told, strict=True):
        if narrow:
            parts.append(svg.text(0, y + 11, label, "label"))
            y += 16
        else:
            parts.append(svg.text(left - 10, y + 11, label, "label end"))
        wide = max(1.0 if value else 0.0, x(value) - left)
        parts.append(svg.shape("rect", f"bar {_STYLE}", text, x=left, y=y + 1, width=wide, height=12.0, rx=1.5))
        parts.append(svg.text(left + wide + 6, y + 11, text, "value"))
        y += _LINE
    described = "; ".join(f"{label}: {text}" for label, text in zip(labels, told, strict=True))
    return svg.document((width, y), name, chart.title, described, parts)


def _curve(chart: Curve, width: int, name: str) -> Markup:
    height = 200 if width < 500 else 260
    left, right, top, bottom = 56.0, width - 14.0, 30.0, 30.0 + height
    ends = [*chart.points, *chart.fitted]
    lows = [low for low, _ in chart.intervals] + [y for _, y in ends]
    highs = [high for _, high in chart.intervals] + [y for _, y in ends]
    x = svg.linear(min(at for at, _ in ends), max(at for at, _ in ends), left, right)
    y = svg.linear(min(lows), max(highs), bottom, top)
    parts = [svg.text(4, 12, chart.up, "axis-title")]
    for tick in svg.nice_ticks(min(lows), max(highs), 4):
        parts += [
            svg.line(left, y(tick), right, y(tick), "grid"),
            svg.text(left - 8, y(tick) + 4, shown(tick, chart.up_unit if chart.up_unit == SHARE else ""), "tick end"),
        ]
    for tick in svg.nice_ticks(min(at for at, _ in ends), max(at for at, _ in ends), 5 if width < 500 else 8):
        parts.append(svg.text(x(tick), bottom + 18, f"{tick:,.0f}", "tick middle"))
    parts.append(svg.text((left + right) / 2, bottom + 38, chart.across, "axis-title middle"))
    for (at, _), (low, high) in zip(chart.points, chart.intervals, strict=False):
        parts.append(svg.line(x(at), y(low), x(at), y(high), f"whisker {_STYLE}"))
    if len(chart.fitted) > 1:
        parts.append(svg.path(chart.fitted, x, y, "line s-base"))
    if len(chart.points) > 1 and not chart.fitted:
        parts.append(svg.path(chart.points, x, y, f"line {_STYLE}"))
    parts += [
        svg.shape("circle", f"dot {_STYLE}", _point(chart, p), cx=x(p[0]), cy=y(p[1]), r=3.6) for p in chart.points
    ]
    described = "; ".join(_point(chart, point) for point in chart.points)
    return svg.document((width, bottom + 46), name, chart.title, described, parts)


def _point(chart: Curve, point: tuple[float, float]) -> str:
    return f"{point[0]:,.0f}: {shown(point[1], chart.up_unit)}"
