"""`data inspect` as people and machines read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.command import Outcome, tunewright
from tests.lifecycle.world import make_world


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a training and a test file, and no workspace."""
    monkeypatch.delenv("TUNEWRIGHT_HOME", raising=False)
    monkeypatch.delenv("TUNEWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"when does my parcel number {n} arrive at last?,{'ab'[n % 2]}\n" for n in range(20))
    (tmp_path / "train.csv").write_text(f'text,label\n{rows}"When does my parcel, number 3, arrive AT LAST",b\n')
    (tmp_path / "test.csv").write_text("text,label\nWhen does my parcel number 4 arrive at last,a\nsomething else,b\n")
    return tmp_path


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2, outcome
    assert outcome.err.count("Error:") == 1
    for word in words:
        assert word in outcome.err, outcome.err
    assert outcome.out == ""


def test_help_has_an_example_and_the_shared_options() -> None:
    outcome = tunewright("data", "inspect", "--help")
    assert outcome.code == 0
    for word in ("Example: tunewright data inspect", "--against", "--benchmark", "--html", "--json", "--workspace"):
        assert word in " ".join(outcome.out.split())


def test_machines_read_one_object_keyed_by_inspection(here: Path) -> None:
    found = tunewright("data", "inspect", "train.csv", "--against", "test.csv", "--json").document
    assert (found["rows"], found["columns"], found["format"], found["answers"]) == (
        21,
        ["text", "label"],
        "labelled",
        "label",
    )
    assert found["duplicates"]["exact"]["rows"] == 1
    assert found["leakage"]["exact"]["rows"] == 1
    assert found["conflicts"]["texts"] == 0  # the copy has the same label
    assert found["leakage"]["held_out"]["test.csv"]["of"] == 2
    listed = [name for names in found["verdicts"].values() for name in names]
    assert "leakage" in found["verdicts"]["act"]
    assert set(listed) <= set(found)
    assert not (here / ".tunewright").exists()


def test_people_read_eighty_columns_with_the_worst_first(here: Path) -> None:
    outcome = tunewright("data", "inspect", "train.csv", "--against", "test.csv")
    assert outcome.code == 0
    table = outcome.out.partition("Next:")[0]
    assert max(map(len, table.splitlines())) <= 80
    marks = re.findall(r"^\s+([✗!✓]) \w+ ", table, re.MULTILINE)
    assert marks == sorted(marks, key="✗!✓".index)
    assert "data inspect train.csv --html quality.html" in outcome.out
    assert "Leakage: Take these rows out" in " ".join(table.split())


def test_only_some_inspections(here: Path) -> None:
    found = tunewright("data", "inspect", "train.csv", "--only", "duplicates", "--only", "length", "--json").document
    assert {name for names in found["verdicts"].values() for name in names} == {"duplicates", "length"}


def test_settings_of_single_inspections(here: Path) -> None:
    held = ["--against", "test.csv"]
    found = tunewright("data", "inspect", "train.csv", *held, "--setting", "leakage.n=5", "--json").document
    assert found["leakage"]["ngram"]["n"] == 5
    refused(tunewright("data", "inspect", "train.csv", "--setting", "leakage=5"), "NAME.FIELD=VALUE")
    refused(tunewright("data", "inspect", "train.csv", "--setting", "leak.n=5"), "Did you mean 'leakage'")
    refused(tunewright("data", "inspect", "train.csv", "--setting", "leakage.m=5"), "leakage.m", "Fields: n.")
    refused(tunewright("data", "inspect", "train.csv", "--setting", "leakage.n=-1"), "leakage.n", "greater than")
    refused(tunewright("data", "inspect", "train.csv", "--setting", "leakage.n=["), "YAML")


def test_a_page_is_written_and_named(here: Path) -> None:
    outcome = tunewright("data", "inspect", "train.csv", "--html", "quality.html", "--json")
    assert outcome.document["html"] == "quality.html"
    assert (here / "quality.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_wrong_input_is_refused(here: Path) -> None:
    refused(tunewright("data", "inspect", "trian.csv"), "trian.csv", "does not exist", "Did you mean", "train.csv")
    refused(tunewright("data", "inspect", "train.csv", "--against", "no.csv"), "no.csv", "does not exist")
    refused(tunewright("data", "inspect", "train.csv", "--only", "duplicate"), "duplicate", "Did you mean 'duplicates'")
    refused(tunewright("data", "inspect", "train.csv", "--only", "leakage"), "'leakage' does not apply", "--against")
    refused(tunewright("data", "inspect", "train.csv", "--set", "seed=1"), "--set", "--recipe")
    refused(tunewright("data", "inspect", "0123abcd"), "0123abcd", "no workspace")
    (here / "empty.csv").write_text("")
    refused(tunewright("data", "inspect", "empty.csv"), "empty.csv", "empty")


def test_a_recipe_with_its_model_and_then_its_dataset(here: Path) -> None:
    recipe = make_world(here / "world", rows=120)
    found = tunewright("data", "inspect", recipe, "--json").document
    assert found["rows"] == 120
    assert found["format"] == "template"
    assert found["preflight"]["examples"] == 120 - 24
    assert found["preflight"]["end_trained"] is True
    assert not (here / ".tunewright").exists()
    prepared = tunewright("data", "prepare", recipe, "--workspace", "ws", "--json").document
    for target in (prepared["path"], prepared["dataset"][:10]):
        dataset = tunewright("data", "inspect", target, "--workspace", "ws", "--recipe", recipe, "--json").document
        assert dataset["rows"] == 120 - 24 - 12
        assert dataset["held_out"] == {"validation": 12, "test": 24}
        assert dataset["preflight"]["examples"] == 120 - 24
        assert set(dataset["columns"]) == {"messages[0].content", "answer"}
    refused(tunewright("data", "inspect", recipe, "--recipe", recipe), "Two recipes")
    refused(tunewright("data", "inspect", "ffffffff", "--workspace", "ws"), "ffffffff")


def test_a_model_that_is_not_here_is_said_and_the_rest_goes_on(here: Path) -> None:
    recipe = make_world(here / "world", rows=60)
    text = recipe.read_text().replace("base: ./base", "base: smollm2-135m-instruct")
    recipe.write_text(text)
    found = tunewright("data", "inspect", recipe, "--json").document
    assert "not on this machine" in found["not_run"]["preflight"]["reason"]
    assert "models pull smollm2-135m-instruct" in found["not_run"]["preflight"]["advice"]
    assert found["duplicates"]["exact"]["rows"] == 0
    shown = tunewright("data", "inspect", recipe).out
    assert "Not measured: preflight" in " ".join(shown.split())


def test_the_json_is_plain(here: Path) -> None:
    text = tunewright("data", "inspect", "train.csv", "--json").out
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_documents_as_files_and_as_a_dataset(here: Path) -> None:
    lines = "".join(json.dumps({"text": f"Document {n} tells of thing {n} at some length."}) + "\n" for n in range(60))
    (here / "docs.jsonl").write_text(lines)
    recipe = make_world(
        here / "world",
        rows=20,
        instead={
            "data": {"train": str(here / "docs.jsonl"), "split": {"validation": 5, "test": 8, "minimum_test_rows": 5}}
        },
        train={"objective": "cpt"},
    )
    found = tunewright("data", "inspect", recipe, "--json").document
    assert (found["rows"], found["format"], found["answers"]) == (60, "text", "document")
    assert found["preflight"]["max_length"] == 512
    prepared = tunewright("data", "prepare", recipe, "--workspace", "ws", "--json").document
    dataset = tunewright("data", "inspect", prepared["path"], "--workspace", "ws", "--json").document
    assert dataset["rows"] == 60 - 5 - 8
    assert dataset["held_out"] == {"validation": 5, "test": 8}
    assert "balance" not in dataset
