"""A session: what is asked, kept, taken back, and gone on with."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.data.labelling import pool as pools
from tunewright.data.labelling.choosing import word_vectors
from tunewright.data.labelling.journal import Journal, label_id
from tunewright.data.labelling.pool import Pool, read_pool
from tunewright.data.labelling.session import ModelAgreement, Session

TEXTS = [f"{what} {number}" for number in range(12) for what in ("card stolen", "parcel late")]


def _file(folder: Path, texts: list[str], header: str = "text") -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[header, "other"], *([text, "x"] for text in texts)])
    return path


def _session(pool: Pool, journal: Journal, every: int = 4) -> Session:
    return Session(pool, word_vectors([each.text for each in pool.candidates], 0), journal, every=every)


def _truth(text: str) -> str:
    return "card" if "card" in text else "parcel"


def test_distinct_texts_are_read_with_their_places(tmp_path: Path) -> None:
    pool = read_pool(_file(tmp_path, ["one", "ONE ", "", "two", "  "]), "", seed=0)
    assert [(each.text, each.line, each.source) for each in pool.candidates] == [
        ("one", 2, "rows.csv"),
        ("two", 5, "rows.csv"),
    ]
    assert (pool.rows, pool.distinct, pool.unusable) == (5, 2, 2)
    assert pool.candidates[0].id == label_id("one")


def test_of_many_texts_a_sample_is_considered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_CONSIDERED", 100)
    path = _file(tmp_path, [f"text {number}" for number in range(1000)])
    pool = read_pool(path, "text", seed=1)
    assert (len(pool.candidates), pool.distinct) == (100, 1000)
    assert read_pool(path, "text", seed=1) == pool
    lines = [each.line for each in pool.candidates]
    assert lines == sorted(lines)
    assert 350 < sum(lines) / 100 < 650  # from all over the file


def test_the_column_is_found_or_asked_for(tmp_path: Path) -> None:
    path = _file(tmp_path, ["one"], header="mail")
    with pytest.raises(DataError, match=r"not clear.*mail, other"):
        read_pool(path, "", seed=0)
    with pytest.raises(DataError, match=r"'mial' is not there.*Did you mean 'mail'"):
        read_pool(path, "mial", seed=0)
    assert read_pool(path, "mail", seed=0).distinct == 1
    with pytest.raises(DataError, match="No row has a text"):
        read_pool(_file(tmp_path, ["", " "]), "", seed=0)


def test_every_text_comes_once_and_the_model_learns_along(tmp_path: Path) -> None:
    pool = read_pool(_file(tmp_path, TEXTS), "", seed=0)
    asked = []
    with Journal.open(tmp_path / "labels.jsonl") as journal:
        session = _session(pool, journal)
        while (candidate := session.next()) is not None:
            assert session.next() == candidate  # asking again changes nothing
            asked.append(candidate.text)
            session.label(candidate, _truth(candidate.text))
        assert sorted(asked) == sorted(TEXTS)
        assert session.left == 0
        agreement = session.agreement()
        # The first four were asked without a model; after them it tells the two apart.
        assert agreement == ModelAgreement(20, 20, 20, 20)
        assert session.as_json()["counts"] == {"card": 12, "parcel": 12}


def test_another_session_goes_on(tmp_path: Path) -> None:
    pool = read_pool(_file(tmp_path, TEXTS), "", seed=0)
    with Journal.open(tmp_path / "labels.jsonl") as journal:
        session = _session(pool, journal)
        for _ in range(5):
            candidate = session.next()
            assert candidate
            session.label(candidate, _truth(candidate.text))
    with Journal.open(tmp_path / "labels.jsonl") as journal:
        done = {each.id for each in journal.labelled}
        session = _session(pool, journal)
        assert (session.left, session.given) == (19, 0)
        candidate = session.next()
        assert candidate
        assert candidate.id not in done
        assert session.label(candidate, _truth(candidate.text)).predicted is not None  # it had learned at the start


def test_skipping_and_taking_back(tmp_path: Path) -> None:
    pool = read_pool(_file(tmp_path, TEXTS), "", seed=0)
    with Journal.open(tmp_path / "labels.jsonl") as journal:
        session = _session(pool, journal)
        first = session.next()
        assert first
        session.skip(first)
        second = session.next()
        assert second
        assert second != first
        session.label(second, "wrong")
        taken = session.undo()
        assert taken
        assert taken.text == second.text
        assert (session.next(), session.given, session.left) == (second, 0, 24)
        session.label(second, "right")
        assert [each.label for each in journal.labelled] == ["right"]
        session.undo()
        assert session.undo() is None
        skipped = [first.id]
        while (candidate := session.next()) is not None:
            assert candidate.id not in skipped
            session.label(candidate, _truth(candidate.text))
        assert session.left == 1
