"""Answers on disk."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tunewright.base.errors import DataError
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.stored import load_answers, store_answers
from tunewright.metrics import Answer

TUNED = (Answer("r1", "a", "é\n", True, 0.5, 3), Answer("r2", "b", "", False, 1.5, 4))
GIVEN = {
    "tuned": Answers("tuned", TUNED, 2.5, tokens=7, template="0ab1"),
    "bag_of_words": Answers("bag_of_words", (Answer("r1", "a", "a"),), 0.1, not_covered=("order",)),
    "base": Answers("base", (), 0.0),
}


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    path = store_answers(GIVEN, tmp_path)
    assert path.name == "answers.parquet"
    assert load_answers(tmp_path) == GIVEN


def test_any_reader_of_parquet_reads_it(tmp_path: Path) -> None:
    table = pl.read_parquet(store_answers(GIVEN, tmp_path))
    assert table.columns == [
        "id",
        "system",
        "reference",
        "prediction",
        "stopped",
        "nats",
        "tokens",
        "bytes",
        "probability",
        "question",
        "references",
        "samples",
        "columns",
        "seconds",
        "read",
        "written",
        "reward",
    ]
    assert table.filter(system="tuned")["stopped"].to_list() == [True, False]
    assert table.filter(system="bag_of_words")["nats"].to_list() == [None]


def test_a_folder_without_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"answers\.parquet"):
        load_answers(tmp_path)


def test_a_file_that_is_none_of_ours_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "answers.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="Evaluate again"):
        load_answers(tmp_path)
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "answers.parquet")
    with pytest.raises(DataError, match="Evaluate again"):
        load_answers(tmp_path)
