"""The charts: their arithmetic, and what they draw."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.lifecycle.report import charts, svg
from tunewright.lifecycle.report.charts import Curves, Group, Mark


def test_smoothing_is_the_mean_of_the_neighbourhood() -> None:
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, 6.0), (4.0, 4.0)]
    # 1: (1+2)/2, 2: (1+2+6)/3, 3: (2+6+4)/3, 4: (6+4)/2
    assert charts.smooth(points, reach=1) == [(1.0, 1.5), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0)]


def test_smoothing_few_points_changes_nothing() -> None:
    points = [(1.0, 3.0), (2.0, 1.0)]
    assert charts.smooth(points) == points
    assert charts.smooth([]) == []


def test_thinning_keeps_lowest_and_highest_of_each_stretch() -> None:
    points = [(0.0, 1.0), (1.0, 5.0), (2.0, 0.0), (3.0, 2.0), (4.0, 9.0), (5.0, 3.0)]
    assert charts.thin(points, most=4) == [(1.0, 5.0), (2.0, 0.0), (3.0, 2.0), (4.0, 9.0)]
    assert charts.thin(points, most=6) == points


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=500), st.integers(4, 60))
def test_thinning_keeps_the_extremes_and_the_order(values: list[float], most: int) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = charts.thin(points, most=most)
    assert len(kept) <= max(most, 2)
    assert kept == sorted(kept)
    assert min(kept, key=lambda point: point[1])[1] == min(values)
    assert max(kept, key=lambda point: point[1])[1] == max(values)


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 282, 8, [0, 50, 100, 150, 200, 250]),
        (0.3, 2.1, 4, [0.5, 1.0, 1.5, 2.0]),
        (3, 3, 5, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert svg.nice_ticks(low, high, most) == pytest.approx(ticks)


def test_log_ticks_are_one_two_five() -> None:
    assert svg.log_ticks(0.015, 3) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    assert svg.log_ticks(1e-4, 1e2) == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100])


def test_shorten_keeps_both_ends() -> None:
    assert charts.shorten("card_arrival", 20) == "card_arrival"
    assert charts.shorten("cash_withdrawal_not_recognised", 12) == "cash_wit…sed"
    assert len(charts.shorten("x" * 50, 9)) == 9


def _parse(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def test_loss_chart_takes_a_log_axis_only_for_a_wide_range() -> None:
    flat = charts.loss_chart(Curves([(1, 2.0), (2, 1.0)], []), width=900, name="a")
    steep = charts.loss_chart(Curves([(1, 2.0), (2, 0.01)], []), width=900, name="a")
    assert "log scale" not in flat
    assert "log scale" in steep


@pytest.mark.parametrize(
    "curves",
    [
        Curves([(1, 2.0)], []),
        Curves([], [(5, 1.0)]),
        Curves([(1, 0.0), (2, 0.0)], [(2, 0.0)]),
        Curves([(step, 1 / step) for step in range(1, 4000)], [(100, 0.5)], [(1, 0.1), (2, 0.0)], best_step=100),
    ],
)
@pytest.mark.parametrize("width", [358, 996])
def test_loss_chart_draws_whatever_was_recorded(curves: Curves, width: int) -> None:
    drawing = charts.loss_chart(curves, width=width, name="loss")
    root = _parse(drawing)
    assert root.find("title") is not None
    assert root.find("desc") is not None
    assert "nan" not in drawing
    assert root.attrib["width"] == str(width)


def test_dots_stand_where_their_values_are() -> None:
    groups = [Group("Accuracy", [Mark("Tuned", "s-tuned", value, value, value) for value in (0.0, 0.5, 1.0)])]
    root = _parse(charts.interval_chart(groups, width=900, name="i"))
    at = [float(dot.attrib["cx"]) for dot in root.iter("circle")]
    assert at[1] - at[0] == pytest.approx(at[2] - at[1], abs=0.2)
    grid = sorted({float(line.attrib["x1"]) for line in root.iter("line") if line.attrib["class"] == "grid"})
    assert (at[0], at[2]) == (grid[0], grid[-1])


def test_bars_are_as_long_as_their_values() -> None:
    groups = [Group("intent", [Mark("Base", "s-base", 0.25), Mark("Tuned", "s-tuned", 0.5, 0.4, 0.6)])]
    root = _parse(charts.bar_chart(groups, width=900, name="b"))
    bars = [bar for bar in root.iter("rect") if bar.find("title") is not None]
    base, tuned = (float(bar.attrib["width"]) for bar in bars)
    assert tuned == pytest.approx(2 * base, abs=0.2)
    assert bars[1].findtext("title") == "intent, Tuned: 50.0% (40.0–60.0)"


def test_a_small_matrix_counts_in_its_cells_and_names_its_rows() -> None:
    drawing = charts.confusion_chart(["refund", "exchange"], [[7, 2, 1], [0, 5, 0]], width=478, name="c")
    root = _parse(drawing)
    counts = [text.text for text in root.iter("text") if text.attrib["class"].startswith("count")]
    assert counts == ["7", "2", "1", "5"]
    names = [text.text for text in root.iter("text")]
    assert {"refund 1", "exchange 2", "none"} <= set(names)
    hints = [cell.findtext("title") for cell in root.iter("rect")]
    assert "expected refund, answered none of the labels: 1 of 10" in hints


def test_a_large_matrix_draws_cells_only() -> None:
    labels = [f"label_{index}" for index in range(77)]
    counts = [[40 if row == column else 0 for column in range(77)] for row in range(77)]
    root = _parse(charts.confusion_chart(labels, counts, width=478, name="c"))
    cells = [cell for cell in root.iter("rect") if cell.attrib["class"] == "cell hit"]
    assert len(cells) == 77
    assert {float(cell.attrib["fill-opacity"]) for cell in cells} == {1.0}
    texts = [text.text or "" for text in root.iter("text")]
    assert not any("label_" in text for text in texts)
    assert {"1", "10", "70"} <= set(texts)


@pytest.mark.parametrize("width", [358, 478, 996])
def test_nothing_is_drawn_outside_the_drawing(width: int) -> None:
    marks = [Mark("Base, few-shot", "s-base_few_shot", 1.0, 1.0, 1.0), Mark("Tuned model", "s-tuned", 0.0, 0.0, 0.1)]
    groups = [Group("A rather long name of a metric", marks)]
    for drawing in (
        charts.interval_chart(groups, width=width, name="i"),
        charts.bar_chart(groups, width=width, name="b"),
        charts.confusion_chart(["a" * 40] * 9, [[1] * 10] * 9, width=width, name="c"),
    ):
        numbers = [float(found) for found in re.findall(r' x[12]?="([-\d.]+)"', drawing)]
        assert min(numbers) >= 0
        assert max(numbers) <= width
