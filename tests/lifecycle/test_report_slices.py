"""The error analysis on the page and in the terminal, from a made evaluation."""

from __future__ import annotations

from typing import Any

from tunewright.evaluate import Answers, Slicing, evaluate
from tunewright.lifecycle.report import ReportFacts, render_report, slices
from tunewright.metrics import Answer

RIGHT = ["good"] * 30 + ["neutral"] * 20 + ["<mixed>"] * 4
TUNED = ["good"] * 30 + ["good"] * 15 + ["neutral"] * 5 + ["<mixed>"] * 4
BASE = ["good"] * 10 + ["bad"] * 20 + ["neutral"] * 20 + ["bad"] * 4


def _evaluation(by: tuple[str, ...] = ("class", "shop")) -> dict[str, Any]:
    def given(system: str, said: list[str]) -> Answers:
        rows = enumerate(zip(RIGHT, said, strict=True))
        return Answers(
            system,
            tuple(
                Answer(f"r{i}", right, text, nats=1.0, tokens=1, question=f"<b>text {i}</b>")
                for i, (right, text) in rows
            ),
            1.0,
        )

    answers = {"base": given("base", BASE), "tuned": given("tuned", TUNED)}
    slicing = Slicing(by, ["good"] * 90 + ["neutral"] * 30 + ["<mixed>"] * 90) if by else None
    return evaluate(answers, answer_kind="label", seed=0, samples=200, slicing=slicing).as_json()


def test_the_page_shows_who_is_worse_off_and_what_to_collect() -> None:
    page = render_report(ReportFacts(name="reviews", evaluation=_evaluation()))
    assert '<a href="#slices">Slices</a>' in page
    assert "1 of 2 slices is surely worse than the rest, class neutral most of all: 25.0% against 100.0%." in page
    assert "It got worse for class neutral: −75.0 points against Base model (20 rows, p &lt; 0.0001)." in page.replace(
        "= 0.0001", "&lt; 0.0001"
    )
    assert "Too small to say anything: class &lt;mixed&gt; (4 rows)" in page
    assert "No row has a column &#39;shop&#39;" in page
    assert "Collect about 60 more rows of `neutral`: 15 of 20 wrong; taken 15 for `good`" in page
    assert "&lt;b&gt;text 30&lt;/b&gt;" in page
    assert "<b>text 30</b>" not in page


def test_the_terminal_says_it_in_a_few_lines() -> None:
    found = slices.lines(_evaluation())
    assert [line.split(":")[0] for line in found] == [
        "1 of 2 slices is surely worse than the rest, class neutral most of all",
        "It got worse for class neutral",
        "Collect about 60 more rows of `neutral`",
    ]


def test_without_slices_nothing_is_shown() -> None:
    evaluation = _evaluation(by=())
    assert "slices" not in evaluation
    assert slices.lines(evaluation) == []
    assert 'id="slices"' not in render_report(ReportFacts(name="reviews", evaluation=evaluation))


def test_no_sure_difference_is_said_to_be_none() -> None:
    found = {"less_is_better": False, "metric": "accuracy", "system": "tuned", "other": "", "slices": [], "collect": []}
    one = {"by": "shop", "value": "rome", "shown": "", "score": {"value": 0.5}, "rest": 0.6, "difference": -0.1}
    tested = {**one, "p": 0.2, "p_corrected": 0.4, "against": None, "too_small": False}
    assert slices.headline({**found, "slices": [tested]}) == "No slice is surely worse than the rest, of 1 looked at."
    small = {**one, "p": None, "p_corrected": None, "against": None, "too_small": True}
    assert slices.headline({**found, "slices": [small]}) == "No slice has enough rows to be told from the rest."
