"""`data diff` and `data undo`, as they are read and typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.command import Outcome, tunewright
from tunewright.cli.ledger_tables import changed_text, visible
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import prepare


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    rows = [
        (f"message  {number} " + "and a long tail of ordinary words " * 6, "ab"[number % 2]) for number in range(30)
    ]
    rows.append(("from bob@mail.example.com\u200b", "a"))
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows, ("", "b")])
    (folder / "recipe.yaml").write_text(
        "name: desk\ngoal: g\ndata:\n  train: rows.csv\n  template: {user: '{text}', assistant: '{label}'}\n"
        "  steps:\n    - unicode\n    - whitespace\n    - {name: redact, kinds: [email]}\n"
        "    - {name: require, columns: [text]}\n  split: {test: 5, validation: 3, minimum_test_rows: 1}\n",
        encoding="utf-8",
    )
    with start(folder / "recipe.yaml", workspace=folder / "ws", kind="prepare") as job:
        prepare(job)
    return folder


def _run(place: Path, *words: str) -> Outcome:
    return tunewright("data", *words, "--workspace", place / "ws")


def test_edits_are_shown_word_by_word_within_the_screen(place: Path) -> None:
    outcome = _run(place, "diff", "desk", "--limit", "4")
    assert outcome.code == 0, outcome.err
    shown = " ".join(outcome.out.split())
    # White space in thirty rows and a character in one; one redacted, one dropped.
    assert "Dataset" in shown
    assert ": 33 edits on record." in shown
    assert "message[-··-]{+·+}" in outcome.out
    assert "[-<U+200B>-]" in outcome.out
    assert "… and" in outcome.out
    assert "--limit shows more" in shown
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_one_step_and_one_row(place: Path) -> None:
    outcome = _run(place, "diff", "desk", "--step", "redact")
    assert "from [-bob@mail.example.com-]{+[EMAIL]+}" in outcome.out
    assert "whitespace" not in outcome.out
    document = json.loads(_run(place, "diff", "desk", "--step", "redact", "--json").out)
    assert (document["total"], document["counts"]) == (1, [{"step": "redact", "field": "text", "edits": 1}])
    row = document["edits"][0]["row_id"]
    whole = _run(place, "diff", "desk", "--row", row)
    assert "2 edits on record" in whole.out
    dropped = _run(place, "diff", "desk", "--step", "require")
    assert '{"text":"","label":"b"' in dropped.out.replace(" ", "")


def test_undo_tells_what_came_back_and_how_it_stays_so(place: Path) -> None:
    outcome = _run(place, "undo", "desk", "--step", "redact")
    assert outcome.code == 0, outcome.err
    shown = " ".join(outcome.out.split())
    assert "Taken back: 1 of redact." in shown
    assert "What redact had hidden stands in the dataset again." in shown
    assert 'data.undo: [{"step": "redact"}]' in shown
    first, second = (run["dataset"] for run in _datasets(place))
    between = _run(place, "diff", first, second)
    assert "1 rows changed" in between.out
    assert "[-[EMAIL]-]{+bob@mail.example.com+}" in between.out.replace("\n", "")
    assert json.loads(_run(place, "diff", first, second, "--json").out)["counts"]["changed"] == 1


def _datasets(place: Path) -> list[dict[str, str]]:
    from tunewright.store import Workspace

    runs = Workspace.open(place / "ws").runs(name="desk")
    return [run.manifest["stages"]["prepare"] for run in reversed(runs)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["diff", "desk", "--step", "reduct"], "Did you mean 'redact'?"),
        (["diff", "desk", "--row", "x"], "No edit of a row 'x' is on record"),
        (["diff", "desk", "desk", "--step", "redact"], "Leave --step and --row out"),
        (["diff", "nothing"], "is called 'nothing'"),
        (["undo", "desk"], "Name a step with --step"),
        (["undo", "desk", "--step", "require", "--field", "text"], "No edit of the dataset"),
    ],
)
def test_wrong_input_exits_two(place: Path, words: list[str], said: str) -> None:
    outcome = _run(place, *words)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_what_cannot_be_seen_gets_a_sign() -> None:
    assert visible("a b\tc\n\u200b\x1b[2J\u00a0") == "a·b⇥c⏎<U+200B><U+001B>[2J⍽"
    assert visible("a b\n\x1b", spaces=False) == "a b\n<U+001B>"
    assert changed_text(None, "x", whole=False).plain == "[-(no value)-]{+x+}"
    assert changed_text("[sealed:abc=]", "x", whole=False).plain == "[-(sealed)-]{+x+}"
    long = "word " * 40
    told = changed_text(f"{long}x{long}", f"{long}y{long}", whole=False).plain
    assert len(told) < 300
    assert told.startswith("… ")
    assert told.endswith(" …")
    assert len(changed_text(f"{long} x {long}", f"{long} y {long}", whole=True).plain) > 400
