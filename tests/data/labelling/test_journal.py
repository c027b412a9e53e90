"""The file of labels, whatever happens to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.base.errors import DataError, DiskFullError
from tunewright.data.labelling.journal import Journal, Labelled, counts, label_id, read_labels


def _labelled(text: str, label: str, predicted: str | None = None) -> Labelled:
    return Labelled(label_id(text), text, label, "a.csv", 2, predicted)


ONE, TWO, THREE = _labelled("Wo ist es?", "where"), _labelled("kaputt ü\n", "broken", "where"), _labelled("x", "where")


def test_each_label_is_on_disk_at_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labels.jsonl"
    with Journal.open(path) as journal:
        for labelled in (ONE, TWO):
            journal.add(labelled)
            assert read_labels(path)[-1] == labelled
    with Journal.open(path) as journal:
        assert journal.labelled == [ONE, TWO]
        journal.add(THREE)
    assert read_labels(path) == [ONE, TWO, THREE]
    assert counts([ONE, TWO, THREE]) == {"where": 2, "broken": 1}
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert (first["text"], first["label"], first["source"], first["line"]) == ("Wo ist es?", "where", "a.csv", 2)


def test_the_last_label_is_taken_back_also_after_a_break(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with Journal.open(path) as journal:
        journal.add(ONE)
        before = path.read_bytes()
        journal.add(TWO)
        assert journal.take_back() == TWO
        assert path.read_bytes() == before
        journal.add(THREE)
    with Journal.open(path) as journal:
        assert journal.take_back() == THREE
        assert path.read_bytes() == before
        assert journal.take_back() == ONE
        assert journal.take_back() is None
        journal.add(TWO)
    assert read_labels(path) == [TWO]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_half_written_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "labels.jsonl"
    with Journal.open(path) as journal:
        journal.add(ONE)
        journal.add(TWO)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_labels(path) == [ONE]
    with Journal.open(path) as journal:
        assert journal.labelled == [ONE]
        assert journal.torn_bytes > 0
        journal.add(TWO)
    assert path.read_bytes() == whole


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with Journal.open(path), pytest.raises(DataError, match="Someone is labelling"):
        Journal.open(path)
    with Journal.open(path) as journal:
        journal.add(ONE)


def test_another_file_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"text": "x", "label": "y"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"other.jsonl:1: This line is no label"):
        Journal.open(path)
    assert path.read_text(encoding="utf-8") == '{"text": "x", "label": "y"}\n'
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="cannot be written"):
        Journal.open(tmp_path)


def test_a_full_disk_is_told(small_disk: Path) -> None:
    (small_disk / "fill").write_bytes(b"x" * (1 << 20))
    with Journal.open(small_disk / "labels.jsonl") as journal, pytest.raises(DiskFullError):
        journal.add(_labelled("y" * 100_000, "where"))
    (small_disk / "fill").unlink()
    with Journal.open(small_disk / "labels.jsonl") as journal:
        assert journal.labelled == []
        journal.add(ONE)
    assert read_labels(small_disk / "labels.jsonl") == [ONE]


def test_texts_that_differ_in_case_and_space_alone_share_their_id() -> None:
    assert label_id("My  Card\n") == label_id("my card")
    assert label_id("my card") != label_id("my cards")
