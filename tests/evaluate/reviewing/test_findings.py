"""Results as findings and as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION, PRACTICE, session
from tests.evaluate.reviewing.test_results import ANNA, BEN, rate
from tunewright.base.errors import InputError
from tunewright.evaluate.judging.people import read_opinions
from tunewright.evaluate.reviewing.findings import as_json, export, findings_of
from tunewright.evaluate.reviewing.rater import Rater
from tunewright.evaluate.reviewing.results import results_of


def test_pairs_are_a_win_rate_and_an_agreement(tmp_path: Path) -> None:
    made = session(tmp_path, rows=6, same=2, count=4)
    said = {**ANNA, "row4": CHAMPION, "row5": CHAMPION}
    rate(made, "anna", said)
    rate(made, "ben", {**said, "row2": "tie"})
    results = results_of(made)
    win, agreement = findings_of(results)
    assert (win.name, win.better, win.n) == ("review_win_rate", "higher", 4)
    assert win.value == pytest.approx(2.75 / 4)
    assert "p = 0.6250" in win.meaning
    assert "To 2 of 6 rows both answered the same" in win.meaning
    assert win.details["Raters"][0]["rows"] == "4 of 4"
    assert (agreement.name, agreement.n) == ("review_agreement", 4)
    document = json.loads(json.dumps(as_json(results)))
    assert document["findings"]["review_win_rate"]["value"] == win.value
    assert document["sign_test"] == {"first": 3, "second": 1, "p": 0.625}
    assert document["identical"] == 2


def test_ratings_are_a_mean_for_each_scale(tmp_path: Path) -> None:
    made = session(tmp_path, kind="rating", rows=3, count=3)
    with Rater.open(made, "anna") as rater:
        while (task := rater.next()) is not None:
            rater.answer(task.key, ratings={"clarity": 5 if task.shown[0] == CHAMPION else 2, "tone": 4}, comment="hm")
    results = results_of(made)
    clarity, tone = findings_of(results)
    assert (clarity.name, clarity.value, clarity.base, clarity.n) == ("review_clarity", 5, 2, 3)
    assert "rated +3.00 against" in clarity.meaning
    assert (tone.value, tone.base) == (4, 4)
    document = as_json(results)
    assert document["scales"]["clarity"]["difference"]["value"] == 3
    # Judges are held against such a file.
    assert export(results, tmp_path / "ratings.csv") == 12
    opinions = read_opinions(tmp_path / "ratings.csv")
    assert {(each.system, each.about, each.rating) for each in opinions} == {
        (CHAMPION, "clarity", 5),
        (CHAMPION, "tone", 4),
        (CHALLENGER, "clarity", 2),
        (CHALLENGER, "tone", 4),
    }
    assert "sofa" in next(each.answer for each in opinions if each.system == CHAMPION)


def test_single_choices_go_to_a_file(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4, training=PRACTICE)
    rate(made, "anna", BEN)
    results = results_of(made)
    assert export(results, tmp_path / "said.jsonl") == 4
    rows = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text("utf-8").splitlines()]
    assert {row["id"]: row["choice"] for row in rows} == BEN
    assert {row["rater"] for row in rows} == {"anna"}
    export(results, tmp_path / "said.csv")
    with (tmp_path / "said.csv").open(newline="", encoding="utf-8") as file:
        assert {row["id"]: row["choice"] for row in csv.DictReader(file)} == BEN
    assert {each.choice for each in read_opinions(tmp_path / "said.jsonl")} == {CHAMPION, CHALLENGER, "tie"}


def test_what_counts_for_nothing_is_no_finding(tmp_path: Path) -> None:
    made = session(tmp_path, rows=4, count=4, training=PRACTICE)
    with Rater.open(made, "bob") as bob:
        for choice in ("right", "left"):
            task = bob.next()
            assert task is not None
            bob.answer(task.key, choice=choice)
    rate(made, "bob", ANNA)
    results = results_of(made)
    with pytest.raises(InputError, match="all 4 are of raters who failed the training"):
        findings_of(results)
    document = as_json(results)
    assert (document["findings"], document["left_out"], document["rows"]) == ({}, 4, 0)
    assert export(results, tmp_path / "said.jsonl") == 0
