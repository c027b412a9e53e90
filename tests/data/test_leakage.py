"""Held-out texts that also stand in train."""

from __future__ import annotations

import polars as pl
import pytest

from tunewright.base.errors import DataError
from tunewright.data.folding import text_key
from tunewright.data.leakage import find_leaks, refuse_leaks


def _rows(source: str, texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{source}{index}" for index in range(len(texts))],
            "source": [source] * len(texts),
            "line": list(range(2, len(texts) + 2)),
            "prompt_key": [text_key([text]) for text in texts],
        }
    )


def test_case_white_space_and_width_do_not_hide_a_leak() -> None:
    held = _rows("test", ["New  card", "Ｌost card!", "other", "Lost card"])
    seen = _rows("train", ["new card", "NEW CARD", "lost card!"])
    leaks = find_leaks([held], seen.iter_slices(2))
    assert leaks.ids == {"test0", "test1"}
    assert leaks.places == ("test:2 = train:2", "test:3 = train:4")


def test_the_error_lists_the_first_rows_and_counts_all() -> None:
    texts = [f"text {index}" for index in range(30)]
    leaks = find_leaks([_rows("test", texts)], [_rows("train", texts)])
    with pytest.raises(DataError, match=r"data\.test: 30 test rows") as caught:
        refuse_leaks("test", leaks)
    assert "test:21 = train:21\n  … and 10 more" in str(caught.value)


def test_keys_tell_where_one_text_ends() -> None:
    assert text_key(["a", "b"]) != text_key(["a b"])
    assert text_key(["a", "b"]) != text_key(["a\x1fb"])
    assert text_key([None]) == text_key([" "])
