"""Comparing answers and models on the same rows: verdict, tests, slices, page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import tunewright
from tests.lifecycle.world import make_world
from tests.tiny import tiny_folder
from tunewright.base.errors import InputError, UnknownNameError
from tunewright.base.events import Event, Message
from tunewright.lifecycle.comparing import compare
from tunewright.lifecycle.held_data import Asked
from tunewright.lifecycle.job import start
from tunewright.lifecycle.report.comparison import render_comparison, verdict
from tunewright.lifecycle.training import train
from tunewright.store import Workspace

DIFFERENCE = {
    **{"metric": "accuracy", "a": "new", "b": "old", "value": 0.112, "low": 0.091, "high": 0.133, "p": 1e-9},
    **{"p_corrected": 2e-9, "n": 3080, "test": "exact McNemar", "detectable": 0.021, "significant": True},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("comparing") / "ws")


def answers(path: Path, right: int, rows: int = 60, first: int = 0) -> Path:
    """Answers of which so many are right, the first ones."""
    written = [
        {"id": n, "prediction": "ab"[n % 2] if n < right else "?", "reference": "ab"[n % 2], "place": "NS"[n >= 30]}
        for n in range(first, rows)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in written), encoding="utf-8")
    return path


def test_a_verdict_in_one_sentence() -> None:
    assert verdict(DIFFERENCE) == ("new is better than old on accuracy: +11.2 points (95 % 9.1 to 13.3), p < 0.0001.")
    worse = DIFFERENCE | {"value": -0.112, "low": -0.133, "high": -0.091, "metric": "macro_f1"}
    assert verdict(worse).startswith("new is worse than old on Macro-F1: −11.2 points (95 % −13.3 to −9.1)")
    less = DIFFERENCE | {"metric": "bits_per_byte"}
    assert verdict(less).startswith("new is worse than old")
    unsure = DIFFERENCE | {"significant": False, "p": 0.2, "p_corrected": 0.4, "n": 200, "detectable": 0.04}
    assert verdict(unsure) == (
        "No difference between old and new can be seen on accuracy: +11.2 points (95 % 9.1 to 13.3), p = 0.4000; "
        "with 200 rows less than 4.0 points cannot be."
    )


def test_files_are_compared_row_by_row(tmp_path: Path, workspace: Workspace) -> None:
    old, new = answers(tmp_path / "old.jsonl", 30), answers(tmp_path / "new.jsonl", 45)
    found = compare([str(old), str(new)], slices=["place"], workspace=workspace)
    assert found.found.metric == "accuracy"
    (difference,) = found.found.on("accuracy")
    assert (difference.a, difference.b) == ("new.jsonl", "old.jsonl")
    assert difference.value == pytest.approx(15 / 60)
    assert difference.p == pytest.approx(2 * 0.5**15)  # exact McNemar: 15 rows differ, all one way
    assert difference.p_corrected is not None
    assert difference.p_corrected >= difference.p
    assert found.verdict == (found.as_json()["verdict"],)
    assert found.verdict[0].startswith("new.jsonl is better than old.jsonl on accuracy: +25.0 points")
    slices = {each.value: each for each in found.found.evaluation.slices.slices}  # type: ignore[union-attr]
    assert (slices["N"].n, slices["S"].n) == (30, 30)
    assert slices["S"].against is not None
    assert slices["S"].against.value == pytest.approx(15 / 30)
    page = found.page.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "new.jsonl is better than old.jsonl" in page
    assert "<script" not in page
    assert workspace.artifact(found.stored.hash, "comparison").manifest["n"] == 60


def test_equal_answers_show_no_difference(tmp_path: Path, workspace: Workspace) -> None:
    one, other = answers(tmp_path / "one.jsonl", 30), answers(tmp_path / "other.jsonl", 30)
    found = compare([str(one), str(other)], workspace=workspace)
    assert found.found.on("accuracy")[0].p == 1.0
    assert found.verdict[0].startswith("No difference between one.jsonl and other.jsonl can be seen on accuracy")
    assert "with 60 rows less than" in found.verdict[0]


def test_rows_that_not_all_answered_are_left_out_and_counted(tmp_path: Path, workspace: Workspace) -> None:
    old, new = answers(tmp_path / "old.jsonl", 30), answers(tmp_path / "new.jsonl", 45, first=10)
    found = compare([str(old), str(new)], workspace=workspace)
    assert found.found.left_out == {"old.jsonl": 10}
    assert found.found.evaluation.n == 50
    assert "10 rows that old.jsonl answered, and not all others did, are left out." in found.page.read_text("utf-8")
    strange = tmp_path / "strange.jsonl"
    strange.write_text('{"id": "z", "prediction": "a", "reference": "a"}\n')
    with pytest.raises(InputError, match="no row in common"):
        compare([str(old), str(strange)], workspace=workspace)


def test_other_right_answers_are_other_rows(tmp_path: Path, workspace: Workspace) -> None:
    old, new = answers(tmp_path / "old.jsonl", 30), tmp_path / "new.jsonl"
    new.write_text(old.read_text().replace('"reference": "b"', '"reference": "c"'))
    with pytest.raises(InputError, match="did not answer the rows of"):
        compare([str(old), str(new)], workspace=workspace)


def test_one_file_of_several_systems(tmp_path: Path, workspace: Workspace) -> None:
    rows = [
        {"id": n, "system": system, "prediction": "ab"[n % 2] if n < right else "?", "reference": "ab"[n % 2]}
        for system, right in (("small", 5), ("large", 25), ("huge", 26))
        for n in range(40)
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = compare([str(path)], workspace=workspace)
    assert found.found.systems == ("small", "large", "huge")
    assert len(found.verdict) == 2  # each against the first
    pair = compare([f"{path}:huge", f"{path}:large"], workspace=workspace)
    assert pair.found.systems == ("huge", "large")
    with pytest.raises(UnknownNameError, match="Did you mean 'large'"):
        compare([f"{path}:larg", f"{path}:small"], workspace=workspace)
    with pytest.raises(InputError, match="several systems: small, large, huge"):
        compare([str(path), str(path)], workspace=workspace)


def test_models_are_asked_and_compared_with_answers_that_are_there(tmp_path: Path, workspace: Workspace) -> None:
    names = [str(tiny_folder(tmp_path / name, seed=seed)) for name, seed in (("first", 1), ("second", 2))]
    rows = "".join(f"a {n},{'xy'[n % 2]}\n" for n in range(12))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    asked = Asked(str(tmp_path / "rows.csv"), candidates="labels")
    found = compare(names, asked, workspace=workspace)
    assert found.found.systems == ("first", "second")
    assert found.found.evaluation.n == 12
    facts = found.sides["second"]
    assert facts["target"]["kind"] == "base"
    assert facts["data"]["asked"] == 12
    lineage = workspace.lineage(found.stored.hash, "comparison")
    assert sorted(parent.hash for parent in lineage.parents) == sorted(
        {side["answers"] for side in found.sides.values()}
    )
    again = compare([facts["answers"], *names[:1]], asked, workspace=workspace)
    assert [found.found.evaluation.systems[n].metrics["accuracy"].value for n in ("second", "first")] == [
        scores.metrics["accuracy"].value for scores in again.found.evaluation.systems.values()
    ]


def test_a_recipes_limit_holds_for_all(tmp_path: Path) -> None:
    recipe = make_world(tmp_path, rows=90, train={"epochs": 0.2}, evaluate={"limit": 5, "systems": []})
    workspace = Workspace.open(tmp_path / "ws")
    with start(recipe, workspace=workspace, kind="train") as job:
        train(job)
    heard: list[Event] = []
    asked = Asked(str(tmp_path / "rows.csv"))
    found = compare([str(tmp_path / "base"), str(recipe)], asked, workspace=workspace, listener=heard.append)
    assert [side["data"]["asked"] for side in found.sides.values()] == [5, 5]
    assert found.found.evaluation.n == 5
    assert not any(found.found.left_out.values())
    assert "All models are asked 5 rows, as many as the recipe of colours asks for." in [
        event.text for event in heard if isinstance(event, Message)
    ]
    more = compare([str(tmp_path / "base"), str(recipe)], replace(asked, limit=7), workspace=workspace)
    assert more.found.evaluation.n == 7, "what a person asks for goes before"


def test_the_command_line(tmp_path: Path) -> None:
    old, new = answers(tmp_path / "old.jsonl", 30), answers(tmp_path / "new.jsonl", 45)
    outcome = tunewright("compare", old, new, "--workspace", tmp_path / "ws", "--json")
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = outcome.document
    assert document["verdict"].startswith("new.jsonl is better")
    assert {each["metric"] for each in document["differences"]} == {"accuracy", "macro_f1"}
    assert render_comparison(document).count("<section") >= 2
    table = tunewright("compare", new, old, "--workspace", tmp_path / "ws")
    assert table.code == 0  # whichever wins
    assert "old.jsonl is worse than new.jsonl" in " ".join(table.out.split())
    assert max(len(line) for line in table.out.splitlines() if "/" not in line) <= 80
    refused = tunewright("compare", old, new, "--limit", "3")
    assert refused.code == 2
    assert "--data" in refused.err
