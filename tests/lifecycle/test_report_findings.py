"""What probes found, on the page: numbers as words, tables from lists of objects, and every text escaped."""

from __future__ import annotations

from dataclasses import replace

from tests.lifecycle.report_samples import support_desk
from tunewright.evaluate import Finding
from tunewright.lifecycle.report import findings, render_report

FOUND = Finding(
    "hallucination",
    "Answers with unsupported claims",
    0.25,
    40,
    "lower",
    low=0.125,
    high=0.5,
    base=0.75,
    meaning="Names and numbers that <no> source has.",
    details={
        "Worst": [{"question": "Who?", "claims": ["<b>Ann</b>", 7]}, {"question": "When?", "seen": True}],
        "Checked against": "context",
    },
)


def test_a_finding_is_one_line_and_its_details() -> None:
    (line,) = findings.lines({"findings": {FOUND.name: FOUND.as_json()}})
    assert (line["value"], line["interval"], line["base"], line["n"]) == ("0.250", "0.125 to 0.500", "0.750", "40")
    assert line["better"] == "lower is better"
    table, text = line["parts"]
    assert table["heads"] == ["question", "claims", "seen"]
    assert table["rows"] == [["Who?", "<b>Ann</b>, 7", "–"], ["When?", "–", "yes"]]
    assert (text["title"], text["text"], text["heads"]) == ("Checked against", "context", [])


def test_the_page_shows_findings_with_their_texts_escaped() -> None:
    facts = support_desk()
    found = {FOUND.name: FOUND.as_json()}
    page = render_report(replace(facts, evaluation={**facts.evaluation, "findings": found}))
    assert 'href="#findings"' in page
    assert "&lt;b&gt;Ann&lt;/b&gt;, 7" in page
    assert "<b>Ann</b>" not in page
    assert 'href="#findings"' not in render_report(facts)
