"""Rows in pieces: nothing lost, nothing turned round, whatever goes to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DiskFullError
from tunewright.data import pieces as module
from tunewright.data.pieces import Chosen, Pieces, write_parquet

frames = st.lists(
    st.tuples(st.lists(st.integers(0, 99), max_size=7), st.sampled_from(["a", "b"])), min_size=1, max_size=6
)


def made(parts: list[tuple[list[int], str]]) -> list[pl.DataFrame]:
    """Frames with one column in common and one of their own."""
    return [
        pl.DataFrame({"n": pl.Series(rows, dtype=pl.Int64), own: pl.Series([2 * row for row in rows], dtype=pl.Int64)})
        for rows, own in parts
    ]


@given(parts=frames, spills=st.booleans())
@settings(deadline=None, max_examples=40)
def test_rows_come_out_as_they_went_in(parts: list[tuple[list[int], str]], spills: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE_ROWS", 3)
        if spills:
            patch.setattr(module, "HELD_BYTES", 1)
            patch.setattr(module, "_LEAST_BYTES", 40)
        given_frames = made(parts)
        rows = Pieces.of(given_frames)
        wanted = pl.concat(given_frames, how="diagonal")
        assert rows.whole().equals(wanted)
        assert rows.whole().equals(wanted)  # again
        assert rows.height == wanted.height
        assert all(piece.columns == wanted.columns and 0 < piece.height <= 3 for piece in rows)
        numbers = list(range(0, wanted.height, 2))
        assert rows.take(reversed(numbers)).equals(wanted[numbers])
        rows.discard()
        assert list(rows) == []


def test_many_rows_go_to_disk_and_leave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "HELD_BYTES", 1000)
    monkeypatch.setattr(module, "_LEAST_BYTES", 100)
    rows = Pieces.of([pl.DataFrame({"text": ["x" * 50] * 100})])
    assert list(tmp_path.rglob("*.arrow"))
    rows.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    monkeypatch.setattr(module, "HELD_BYTES", 1000)
    monkeypatch.setattr(module, "_LEAST_BYTES", 100)
    with pytest.raises(DiskFullError):
        Pieces.of([pl.DataFrame({"text": ["x" * 50] * 100})])


def test_some_of_the_rows() -> None:
    rows = Pieces.of(
        [pl.DataFrame({"id": ["a", "b"], "prompt_key": ["k", "l"]}), pl.DataFrame({"id": ["c"], "prompt_key": ["k"]})]
    )
    some = Chosen(rows, np.array([True, True, False]))
    assert some.height == 2
    assert [piece["id"].to_list() for piece in some] == [["a", "b"]]
    left, gone = some.without({"k", "z"})
    assert pl.concat(list(left))["id"].to_list() == ["b"]
    assert pl.concat(list(gone))["id"].to_list() == ["a"]


def test_a_file_does_not_show_how_rows_were_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_ROWS", 4)
    frame = pl.DataFrame({"n": range(11), "text": [[{"a": str(number)}] for number in range(11)]})
    for name, size in (("one", 11), ("other", 3)):
        write_parquet(frame.iter_slices(size), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert pl.read_parquet(tmp_path / "one").equals(frame)
    write_parquet([], tmp_path / "none", schema=frame.schema)
    assert pl.read_parquet(tmp_path / "none").schema == frame.schema
