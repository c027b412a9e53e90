"""The page of a data set's quality: whole, escaped, and silent on the network."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

from tests.data.quality.made import view_of
from tunewright.data.quality.inspection import SHARE, Bars, Case, Curve, Inspection, NotRun
from tunewright.data.quality.report import Report, inspect
from tunewright.lifecycle.report.inspection import render_inspection
from tunewright.lifecycle.report.inspection_charts import caption, draw

NOW = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
NASTY = "<script>alert(\"x\")</script> & 'quoted' {{ braces }}"


class Page(HTMLParser):
    """Notes every tag, id and link, and whether each tag that is opened is closed in turn."""

    VOID = ("meta", "link", "br", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.links += [str(given[name]) for name in ("href", "src") if given.get(name)]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(**found: Inspection) -> Report:
    return Report("rows.csv", view_of([("a", "x"), ("b", "y")]), found, {"later": NotRun("no encoder", "Get it.")})


def inspection(**changes: object) -> Inspection:
    fields = {"title": "T", "value": 0.5, "unit": SHARE, "verdict": "look", "found": "F.", "meaning": "M."}
    return Inspection(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_whole_page_of_real_inspections() -> None:
    rows = [(f"when does parcel {n} arrive at my house", "ab"[n % 2]) for n in range(20)]
    view = view_of([*rows, (NASTY, "a"), (NASTY, "b")], held={"test.csv": rows[:2]})
    text = render_inspection(inspect(view, path="rows.csv"), created=NOW)
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert not re.search(r"https?://(?!www\.w3\.org)", text.partition("</style>")[2])
    assert "1 March 2026, 14:05 UTC" in text
    text.encode("utf-8")


def test_every_text_is_escaped() -> None:
    found = inspection(
        title=NASTY,
        found=NASTY,
        meaning=NASTY,
        advice=NASTY,
        sampled=NASTY,
        numbers={"n": NASTY},
        worst=(Case(NASTY, NASTY, NASTY),),
        charts=(Bars(NASTY, ((NASTY, 1.0),)), Curve(NASTY, ((1.0, 2.0), (2.0, 3.0)), NASTY, NASTY)),
    )
    text = render_inspection(replace(report(a=found), path=NASTY), created=NOW)
    assert "<script" not in text
    assert "alert(&#34;x&#34;)" in text
    assert Page(text).open == []


def test_the_headline_counts_verdicts() -> None:
    act, look, good = (inspection(verdict=verdict) for verdict in ("act", "look", "good"))
    assert "1 thing to act on, 1 to look at, 1 good." in render_inspection(report(a=act, b=look, c=good))
    assert "2 things to look at, 0 good." in render_inspection(report(a=look, b=look))
    assert "All 1 inspections are good." in render_inspection(report(a=good))


def test_what_was_not_measured_is_said() -> None:
    text = render_inspection(report(a=inspection()))
    assert "<b>later</b>: no encoder. Get it." in text


def test_long_rows_are_shortened_for_show() -> None:
    text = render_inspection(report(a=inspection(worst=(Case("a:1", "x" * 601, "why"),))))
    assert f"{'x' * 600}… (1 character more)" in text
    assert "x" * 601 not in text


def test_bars_are_as_long_as_their_values() -> None:
    drawn = str(draw(Bars("T", (("one", 10.0), ("two", 5.0), ("none", 0.0))), width=996, name="n"))
    widths = [float(found) for found in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn)]
    assert widths[0] == 2 * widths[1]
    assert widths[2] == 0
    assert ">10<" in drawn


def test_shares_are_drawn_as_percent() -> None:
    assert "12.5%" in draw(Bars("T", (("one", 0.125),), SHARE), width=358, name="n")


def test_a_curve_has_a_point_and_an_interval_for_each_value() -> None:
    curve = Curve(
        "T", ((100, 0.5), (200, 0.7)), "rows", "accuracy", SHARE, ((0.4, 0.6), (0.6, 0.8)), ((100, 0.5), (400, 0.8))
    )
    drawn = str(draw(curve, width=996, name="n"))
    assert drawn.count("<circle") == 2
    assert drawn.count('class="whisker s-tuned"') == 2
    assert "100: 50.0%" in drawn
    assert 'class="line s-base"' in drawn
    assert 'class="line s-tuned"' not in drawn  # the fitted line says it better
    assert caption(curve) == "The dots are measured, the whiskers their intervals, the grey line is fitted to them."
    assert caption(Bars("T", ())) == ""
    alone = replace(curve, fitted=(), intervals=())
    assert 'class="line s-tuned"' in str(draw(alone, width=358, name="n"))
    assert caption(alone) == "The dots are measured."
