"""What every inspection promises, on data that has something for each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import polars as pl
import pytest

from tests.data.quality.made import texts_only, view_of
from tunewright.base.plugins import INSPECTIONS, STEPS
from tunewright.data.quality.inspection import SHARE, VERDICTS, WORST, Inspection, NotRun
from tunewright.data.quality.view import View
from tunewright.data.rows import Fault

CASES = ("labels", "texts", "free answers", "one row", "empty")


def view(case: str) -> View:
    if case == "texts":
        return texts_only(["A document about nothing in particular.", "Another one.", "Another one."])
    if case == "one row":
        return view_of([("a single question", "yes")], held={"test.csv": [("a single question", "no")]})
    if case == "empty":
        return view_of([("", ""), (None, None), ("…", "-")], held={"test.csv": [(None, None)]})
    if case == "free answers":
        pairs = [(f"What is number {n} called in words?", f"It is called number {n}.") for n in range(30)]
        return view_of(pairs, held={"test.csv": pairs[:3]}, kind="text")
    rows: Sequence[tuple[str | None, str | None] | Fault] = [
        *((f"My card number {n} does not work at all, please help me soon", "card") for n in range(40)),
        *((f"She says that her transfer {n} of last week has not arrived yet", "transfer") for n in range(40)),
        ("Mail me at someone@example.org about this damn card", "Card"),
        ("<p>Hello there. &amp; goodbye</p>", "card"),
        ("Wo ist denn bitte meine neue Kreditkarte geblieben, ich warte schon lange darauf", "card"),
        ("", "card"),
        ("no label here", ""),
        Fault("data.csv", 99, "a broken line"),
    ]
    held = [("my CARD number 3 does not work at all, please help me soon", "card"), ("another", "refund")]
    return view_of(rows, held={"test.csv": held}, benchmarks={"bench": [("another one", None)]})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", INSPECTIONS.names())
def test_inspection_contract(name: str, case: str) -> None:
    looked_at = view(case)
    before = looked_at.data.frame.clone()
    found = INSPECTIONS.call(name, "inspect", looked_at, INSPECTIONS.config(name)())
    assert looked_at.data.frame.equals(before), "changes nothing"
    if not isinstance(found, Inspection):
        assert found is None or (isinstance(found, NotRun) and found.reason)
        return
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert found.verdict in VERDICTS
    assert found.title
    assert found.found.endswith(".")
    assert found.meaning.endswith(".")
    assert not found.advice or found.advice.endswith(".")
    named = re.findall(r"\bsteps (\w+) and (\w+)|\bstep (\w+)", found.advice)
    assert {step for steps in named for step in steps if step} <= set(STEPS.names()), "advises steps that there are"
    assert 0 <= found.value <= 1 or found.unit != SHARE
    assert len(found.worst) <= WORST
    places = {
        *looked_at.data.places,
        *(p for rows in (*looked_at.held_out, *looked_at.benchmarks) for p in rows.places),
    }
    places |= {f"{source}:{line}" for source, line in looked_at.data.refused.select("source", "line").iter_rows()}
    assert {worst["place"] for worst in told["worst"]} <= places
    again = INSPECTIONS.call(name, "inspect", view(case), INSPECTIONS.config(name)())
    assert again == found, "the same rows give the same finding"


def test_the_frames_of_views_are_text() -> None:
    frame = view("labels").data.frame
    assert set(frame.drop("_line").dtypes) == {pl.String()}
