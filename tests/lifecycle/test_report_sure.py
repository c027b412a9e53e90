"""How sure a difference is, in words."""

from __future__ import annotations

from typing import Any

from tunewright.lifecycle.report import ReportFacts, render_report, sure

FOUND: dict[str, Any] = {
    "metric": "accuracy", "a": "tuned", "b": "base", "value": 0.112, "low": 0.091, "high": 0.133, "p": 1e-6,
    "p_corrected": 3e-6, "n": 200, "test": "exact McNemar", "detectable": 0.0396,
}  # fmt: skip


def test_a_difference_with_its_interval_its_tests_and_what_could_be_seen() -> None:
    (sentence,) = sure.sentences({"differences": [FOUND]})
    assert sentence == (
        "Accuracy, tuned model less base model: +11.2 points (95% interval +9.1 points to +13.3 points); p < 0.0001, "
        "corrected < 0.0001 (exact McNemar). With 200 rows, a difference from base model of less than 4.0 points can "
        "hardly be seen."
    )


def test_what_is_no_share_is_no_points() -> None:
    bits = FOUND | {
        "metric": "bits_per_byte",
        "value": -0.2,
        "low": -0.25,
        "high": -0.15,
        "p": 0.03,
        "p_corrected": 0.06,
    }
    (sentence,) = sure.sentences({"differences": [bits]})
    assert "−0.200 (95% interval −0.250 to −0.150); p = 0.0300, corrected = 0.0600" in sentence
    assert "less than 0.0396 can" in sentence


def test_the_terminal_hears_of_the_base_alone() -> None:
    other = FOUND | {"b": "bag_of_words", "detectable": 0.5}
    assert sure.lines({"differences": [other, FOUND]}) == [
        "With 200 rows, a difference from base model of less than 4.0 points can hardly be seen."
    ]
    assert sure.lines({"differences": []}) == sure.lines({}) == []


def test_the_page_shows_each_p_beside_its_corrected_one() -> None:
    tests = [
        {"metric": "accuracy", "a": "tuned", "b": "base", "only_a": 9, "only_b": 2, "p": 0.0654, "p_corrected": 0.1309}
    ]
    score = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 200}
    systems = {"tuned": {"accuracy": score}, "base": {"accuracy": score}}
    page = render_report(ReportFacts(name="x", evaluation={**systems, "comparisons": tests, "differences": [FOUND]}))
    assert '<td class="n">0.0654</td><td class="n">0.1309</td>' in page
    assert "can hardly be seen" in page
