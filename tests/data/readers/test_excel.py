"""Workbooks: sheets, dates, formulas with and without results, errors, and rows that stick out."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path

import pytest

from tests.data.readers.made import rows_and_faults, write_xlsx, write_zip
from tunewright.base.errors import DataError
from tunewright.data import limits
from tunewright.data.readers import check_columns, columns_of
from tunewright.data.rows import Fault, Row
from tunewright.recipe.schema import Source


def test_values_keep_their_kind_and_row_number(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 3, 1, 12, 0)
    path = write_xlsx(tmp_path / "a.xlsx", [["text", "n", "day"], ["x", 1.5, day], [], ["y", None, None]])
    assert rows_and_faults(path) == (
        [
            Row({"text": "x", "n": 1.5, "day": day}, "a.xlsx", 2),
            Row({"text": "y", "n": None, "day": None}, "a.xlsx", 4),
        ],
        [],
    )
    assert columns_of(path) == ["text", "n", "day"]


def test_days_are_days_and_times_are_times(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    moment = datetime.datetime(2026, 3, 1)
    formats = {"yyyy-mm-dd": moment.date(), 'dd/mm/yy\\ "hrs"': moment.date(), "yyyy-mm-dd hh:mm": moment}
    book.active.append(["day"])
    for row, shown in enumerate(formats, 2):
        book.active.cell(row, 1, moment).number_format = shown
    book.save(tmp_path / "a.xlsx")
    assert [row.values["day"] for row in rows_and_faults(tmp_path / "a.xlsx")[0]] == list(formats.values())


def test_a_sheet_is_chosen_by_name_and_never_guessed(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [["a"], [1]], other=[["b"], [2]], empty=[])
    with pytest.raises(DataError, match="has 2 sheets: first, other"):
        rows_and_faults(path)
    assert rows_and_faults(path, sheet="other")[0] == [Row({"b": 2}, "a.xlsx", 2)]
    with pytest.raises(DataError, match="Did you mean 'other'"):
        rows_and_faults(path, sheet="othr")
    check_columns(Source(path=str(path), sheet="other"), ["b"])
    plain = tmp_path / "a.csv"
    plain.write_text("a\n1\n")
    with pytest.raises(DataError, match="this file is no workbook"):
        rows_and_faults(plain, sheet="other")


def test_of_a_formula_the_result_is_taken(tmp_path: Path) -> None:
    rows = [["text", "sum"], ["stored", "=1+2"], ["not stored", '=HYPERLINK("http://x")'], ["plain", 3]]
    path = write_xlsx(tmp_path / "a.xlsx", rows)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = members["xl/worksheets/sheet1.xml"]
    assert b"<f>1+2</f><v></v>" in sheet or b"<f>1+2</f><v />" in sheet or b"<f>1+2</f><v/>" in sheet
    for empty in (b"<v></v>", b"<v />", b"<v/>"):
        sheet = sheet.replace(b"<f>1+2</f>" + empty, b"<f>1+2</f><v>3</v>")
    path = write_zip(tmp_path / "b.xlsx", {**members, "xl/worksheets/sheet1.xml": sheet})
    found, faults = rows_and_faults(path)
    assert [row.values for row in found] == [{"text": "stored", "sum": 3}, {"text": "plain", "sum": 3}]
    (fault,) = faults
    assert (fault.file, fault.line) == ("b.xlsx", 3)
    assert "cell B3 holds the formula =HYPERLINK" in fault.reason


def test_errors_and_cells_without_heading_are_set_aside(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [["a"], ["#REF!"], ["x", "y"], ["good"]])
    found, faults = rows_and_faults(path)
    assert [row.values["a"] for row in found] == ["good"]
    assert faults == [
        Fault("a.xlsx", 2, "cell A2 holds the error #REF!"),
        Fault("a.xlsx", 3, "cell B3 stands under no heading"),
    ]


def test_headers_that_repeat_and_sheets_that_are_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' stands in the header 2 times"):
        rows_and_faults(write_xlsx(tmp_path / "a.xlsx", [["a", "a"], [1, 2]]))
    with pytest.raises(DataError, match="All sheets of this workbook are empty"):
        rows_and_faults(write_xlsx(tmp_path / "b.xlsx", []))


def test_a_workbook_that_is_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 1 << 16)
    members = {"[Content_Types].xml": "", "xl/workbook.xml": "", "xl/worksheets/sheet1.xml": b" " * (1 << 20)}
    with pytest.raises(DataError, match="zip bomb"):
        rows_and_faults(write_zip(tmp_path / "a.xlsx", members))
    with pytest.raises(DataError, match="This workbook cannot be read"):
        rows_and_faults(write_zip(tmp_path / "b.xlsx", {"[Content_Types].xml": "", "xl/workbook.xml": "<broken"}))
