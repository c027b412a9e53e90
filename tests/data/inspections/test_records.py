"""Missing values, sources and the fit to a model: what records show."""

from __future__ import annotations

import dataclasses

import pytest

from tests.data.quality.made import texts_only, view_of
from tunewright.base.errors import InputError
from tunewright.data.inspections import missing, preflight, sources
from tunewright.data.preflight import Preflight
from tunewright.data.quality.inspection import Inspection, NotRun
from tunewright.data.rows import Fault

LOOK = Preflight(
    rows=10,
    refused=1,
    refused_places=("a.csv:3: broken",),
    examples=9,
    lengths={"min": 3, "max": 9},
    learned_lengths={"min": 1, "max": 2},
    max_length=8,
    too_long=1,
    no_target=0,
    end_share=1.0,
    learned_share=0.2,
    warnings=(),
    previews=(),
)


def test_rows_that_lack_a_side_and_records_that_are_broken() -> None:
    rows = [("a", "x"), ("", "x"), ("  ", None), ("b", " "), Fault("data.csv", 9, "a broken line")]
    found = missing.inspect(view_of(rows, kind="label"), missing.Config())
    assert found.value == 4 / 5
    assert found.numbers["no_question"] == 2
    assert found.numbers["no_answer"] == 2
    assert found.numbers["refused"] == {"rows": 1, "reasons": {"a broken line": 1}}
    assert found.numbers["empty_share"] == {"text": 0.5, "label": 0.5}
    assert found.worst[0].place == "data.csv:9"
    assert found.verdict == "act"


def test_whole_rows_are_good() -> None:
    found = missing.inspect(view_of([("a", "x"), ("b", "x")]), missing.Config())
    assert (found.value, found.verdict, found.charts) == (0.0, "good", ())
    assert missing.inspect(texts_only(["a"]), missing.Config()).numbers["no_answer"] == 0


def test_each_source_answers_for_its_own_records() -> None:
    good = view_of([("first good row", "x"), ("second good row", "y")])
    view = view_of(
        [("first good row", "x"), ("same again", "x"), ("same again", "y"), ("short", "x"), Fault("bad.csv", 9, "no")]
    )
    frame = view.data.frame.with_columns(_source=good.data.frame["_source"].head(1).extend(_bad(3)))
    view = dataclasses.replace(view, data=dataclasses.replace(view.data, frame=frame))
    found = sources.inspect(view, sources.Config())
    assert list(found.numbers["files"]) == ["bad.csv", "data.csv"]
    assert found.numbers["files"]["bad.csv"] == {
        "rows": 4,
        "refused": 1,
        "copies": 1,
        "contradictory": 2,
        "too_short": 1,
        "troubled_share": 1.0,
    }
    assert found.numbers["files"]["data.csv"]["troubled_share"] == 0.0
    assert found.verdict == "act"
    assert "bad.csv" in found.advice


def _bad(count: int) -> object:
    import polars as pl

    return pl.Series("_source", ["bad.csv"] * count)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "act"),
        ({"too_long": 0}, "good"),
        ({"too_long": 0, "no_target": 1}, "look"),
        ({"too_long": 0, "end_share": 0.5}, "act"),
    ],
)
def test_the_fit_follows_the_look_before_training(changes: dict[str, float], verdict: str) -> None:
    look = dataclasses.replace(LOOK, **changes)  # type: ignore[arg-type]
    found = preflight.inspect(view_of([("a", "x")], preflight=lambda: look), preflight.Config())
    assert isinstance(found, Inspection)
    assert found.verdict == verdict
    assert found.value == look.too_long / 9
    assert found.numbers["examples"] == 9
    assert found.worst[0].place == "a.csv:3"
    assert found.worst[0].why == "broken"


def test_without_a_recipe_there_is_no_model_and_an_error_says_why_not() -> None:
    def refuse() -> Preflight:
        raise InputError("The model is not here", where="base", hint="Pull it.")

    assert preflight.inspect(view_of([("a", "x")]), preflight.Config()) is None
    found = preflight.inspect(view_of([("a", "x")], preflight=refuse), preflight.Config())
    assert found == NotRun("base: The model is not here", "Pull it.")
