"""`data label`, with what a person types on stdin."""

from __future__ import annotations

import io
import json
import os
import sys
import termios
import threading
import time
from pathlib import Path

import click
import pytest

from tests.cli.command import Outcome, tunewright
from tests.models.making import write_encoder
from tunewright.cli.asking import Answer, Asker

TEXTS = [f"{what} {number}" for number in range(6) for what in ("card stolen", "parcel late")]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return path


def _label(rows: Path, typed: str, *more: str, output: str = "labels.jsonl") -> Outcome:
    given = ["--labels", "card,parcel", "--output", str(rows.parent / output), "--every", "3", *more]
    return tunewright("data", "label", rows, *given, stdin=typed)


def test_keys_names_and_beginnings_are_labels_and_the_rest_is_asked_again(rows: Path) -> None:
    outcome = _label(rows, "1\nparcel\nca\nnonsense\ns\nu\n2\nq\n", "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert (document["now"], document["labelled"], document["skipped"], document["left"]) == (3, 3, 1, 9)
    assert document["counts"] == {"parcel": 2, "card": 1}
    assert "'nonsense' is no label" in outcome.err
    assert "Took back 'card'" in outcome.err
    lines = (rows.parent / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["label"] for line in lines] == ["card", "parcel", "parcel"]


def test_it_goes_on_until_all_is_labelled(rows: Path) -> None:
    first = _label(rows, "1\n" * 5)  # stdin ends: so does the session
    assert first.code == 0
    assert "5 labels more, 5 in all" in first.out
    second = _label(rows, "1\n" * 100)
    assert "7 labels more, 12 in all" in second.out
    assert "0 considered texts have no label" in second.out
    assert len((rows.parent / "labels.jsonl").read_text(encoding="utf-8").splitlines()) == 12
    assert max(len(line) for line in second.out.splitlines()) <= 80


def test_labels_can_be_trained_on(rows: Path) -> None:
    from tunewright.data.formats import choose_format
    from tunewright.recipe.schema import Data

    _label(rows, "1\n2\n")
    data = Data.model_validate({"train": str(rows.parent / "labels.jsonl")})
    assert choose_format(data).name == "labelled"


def test_the_model_that_learns_along_is_told_of(rows: Path) -> None:
    outcome = _label(rows, "1\n2\n" * 6, "--json")
    # It learns after every third label: the first three were asked without it.
    assert outcome.document["model"]["asked"] == 9
    lines = [json.loads(line) for line in (rows.parent / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["predicted"] is None for line in lines] == [True] * 3 + [False] * 9
    assert "the model agreed on" in outcome.err


def test_two_people_are_compared(rows: Path) -> None:
    _label(rows, "1\n" * 6 + "2\n" * 6)
    _label(rows, "1\n" * 12, output="other.jsonl")
    paths = rows.parent / "labels.jsonl", rows.parent / "other.jsonl"
    outcome = tunewright("data", "label", paths[0], "--compare", paths[1], "--json")
    found = outcome.document
    assert (found["both"], found["agreed"], found["kappa"]) == (12, 6, 0.0)
    assert found["confused"] == [["parcel", "card", 6]]
    shown = tunewright("data", "label", paths[0], "--compare", paths[1])
    assert "6 of them agree (50.0%)" in shown.out
    assert "Cohen's kappa: 0.000" in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--labels", "one"], "two different labels or more"),
        (["--labels", "a,a"], "two different labels or more"),
        (["--labels", "a,b", "--by", "magic"], "words or meaning"),
        (["--labels", "a,b", "--column", "txet"], "Did you mean 'text'?"),
        (["--labels", "a,b", "--compare", "absent.jsonl"], "is no label"),
    ],
)
def test_wrong_input_exits_two(rows: Path, given: list[str], said: str) -> None:
    outcome = tunewright("data", "label", rows, *given, "--output", rows.parent / "out.jsonl")
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_texts_are_likened_by_meaning_where_an_encoder_is_at_hand(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEWRIGHT_CACHE", raising=False)
    given = ["--by", "meaning", "--workspace", str(tmp_path / "ws"), "--limit", "4"]
    without = _label(rows, "1\n2\n1\n2\n", *given)
    assert without.code == 2
    assert "tunewright models pull all-minilm-l6-v2" in " ".join(without.err.split())
    monkeypatch.setattr("tunewright.data.meaning.embedding.ENCODER", str(write_encoder(tmp_path / "encoder")))
    outcome = _label(rows, "1\n2\n1\n2\n", *given)
    assert outcome.code == 0, outcome.err
    assert "4 labels more, 4 in all" in outcome.out
    assert (tmp_path / "ws" / "cache" / "vectors").is_dir()


def test_labels_that_are_not_named_are_refused(rows: Path) -> None:
    _label(rows, "1\n2\n")
    outcome = tunewright(
        "data", "label", rows, "--labels", "card,letter", "--output", rows.parent / "labels.jsonl", stdin="1\n"
    )
    assert outcome.code == 2
    assert "does not name: parcel" in outcome.err


def test_what_is_typed_is_understood() -> None:
    asker = Asker.open(["skip", "refund", "refuse", "s"])
    assert asker.understand("s") == Answer("s")  # a label's own name wins
    assert asker.understand(":s") == Answer(command="skip")
    assert asker.understand("2") == Answer("refund")
    assert asker.understand("undo") == Answer(command="undo")
    assert asker.understand("refund") == Answer("refund")
    assert "begins 2 labels" in str(asker.understand("ref"))
    many = Asker.open([f"label {number}" for number in range(77)])
    assert many.keys == ()
    assert many.understand("label 70") == Answer("label 70")


def test_a_text_cannot_write_on_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a\u001b[2Jb"}) + "\n" + json.dumps({"text": "c"}) + "\n", encoding="utf-8")
    outcome = _label(path, "1\n1\n")
    assert "\u001b[2J" not in outcome.err
    assert "a\ufffd[2Jb" in outcome.err


def test_one_key_is_an_answer_in_a_terminal(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of our own, in which an arrow key is pressed, keys are typed ahead, and Ctrl-D ends."""
    from tunewright.cli.asking import ask
    from tunewright.data.labelling.choosing import word_vectors
    from tunewright.data.labelling.journal import Journal
    from tunewright.data.labelling.pool import read_pool
    from tunewright.data.labelling.session import Session

    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as terminal, Journal.open(rows.parent / "labels.jsonl") as journal:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(terminal))
        pool = read_pool(rows, "", seed=0)
        session = Session(pool, word_vectors([each.text for each in pool.candidates], 0), journal)
        asker = Asker.open(["card", "parcel"])
        assert asker.by_key
        presses = [b"\x1b[A", b"2", b"s", b"112", b"u", b"x", b"\x04"]
        real = click.getchar

        def getchar() -> str:
            threading.Thread(target=_press, args=(ours, terminal.fileno(), presses.pop(0)), daemon=True).start()
            return real()

        monkeypatch.setattr(click, "getchar", getchar)
        ask(session, asker)
        assert presses == []
        assert [each.label for each in journal.labelled] == ["parcel", "card", "card"]
        assert len(session.skipped) == 1
    os.close(ours)


def _press(ours: int, theirs: int, keys: bytes) -> None:
    """Presses keys once the terminal waits for a single one; before that they would be thrown away."""
    while termios.tcgetattr(theirs)[3] & termios.ICANON:
        time.sleep(0.002)
    os.write(ours, keys)
