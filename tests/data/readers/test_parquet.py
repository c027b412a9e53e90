"""Parquet: rows that Python has no values for are set aside, and the others go on."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.parquet

from tests.data.readers.made import rows_and_faults


def test_a_value_that_cannot_be_read_costs_its_row(tmp_path: Path) -> None:
    raw = pyarrow.array([b"good", b"na\xefve", b"good, too"], pyarrow.binary())
    text = pyarrow.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    days = pyarrow.array([0, 0, 10**14], pyarrow.timestamp("s"))
    pyarrow.parquet.write_table(pyarrow.table({"text": text, "day": days}), tmp_path / "a.parquet")
    rows, faults = rows_and_faults(tmp_path / "a.parquet")
    assert [(row.line, row.values["text"]) for row in rows] == [(1, "good")]
    assert [fault.line for fault in faults] == [2, 3]
    assert "a value cannot be read ('utf-8' codec" in faults[0].reason
