"""Excel workbooks (XLSX): a sheet's first row names the columns.

Of a formula the stored result is taken, never the formula itself; a row where none is stored is set aside.
"""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import repeat
from typing import Any, Literal

from tunewright.base.errors import DataError, did_you_mean
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import silent_warnings
from tunewright.data import limits
from tunewright.data.datafile import BROKEN_ZIP, DataFile, Head, check_archive
from tunewright.data.rows import Fault, Row

SUFFIXES = (".xlsx", ".xlsm")
BINARY = True
NESTED = False

_WORKBOOK = "xl/workbook.xml"
_SHEETS = "xl/worksheets/"
_STRINGS = "xl/sharedStrings.xml"
_READ_BYTES = 1 << 20
# In a number format: hours and seconds; and what is no part of the format (ECMA-376, part 1, 18.8.31).
_TIMES = re.compile(r"[hs]", re.IGNORECASE)
_TEXTS = re.compile(r'"[^"]*"|\\.|_.|\[[^\]]*\]')


class Config(PluginConfig):
    """Excel."""

    name: Literal["excel"] = "excel"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return _WORKBOOK in head.members


def columns(file: DataFile) -> list[str]:
    """The names in the sheet's first row."""
    with _open(file) as book:
        return _header(_sheet(book, file).iter_rows(), file)[0]


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each row of the sheet that is not empty; `line` is its number there.

    Raises:
        DataError: If the workbook is damaged, its header cannot be used, or it is not said which sheet is meant.
    """
    path = file.plain_path("Excel")
    with _open(file) as book:
        rows = _sheet(book, file).iter_rows()
        header, start = _header(rows, file)
        if not _has_formulas(path):
            yield from _rows(rows, repeat(None), header, file, start)
            return
        with _open(file, formulas=True) as written:
            formulas = _sheet(written, file).iter_rows(min_row=1)
            for _ in range(start):
                next(formulas)
            yield from _rows(rows, formulas, header, file, start)


def _rows(rows: Any, formulas: Any, header: Sequence[str], file: DataFile, start: int) -> Iterator[Row | Fault]:
    # Both walk the same sheet; one of them knows results, the other formulas.
    for line, (cells, written) in enumerate(zip(rows, formulas, strict=False), start + 1):
        if reason := _fault_of(cells, written or (), len(header)):
            yield Fault(file.name, line, reason)
            continue
        values = [_value(cell) for cell in cells[: len(header)]]
        if any(value is not None for value in values):
            yield Row(dict(zip(header, [*values, *[None] * (len(header) - len(values))], strict=True)), file.name, line)


def _value(cell: Any) -> Any:
    """A cell's value; workbooks keep days as midnights, and only the way they are shown tells them from times."""
    if isinstance(cell.value, datetime.datetime) and not _TIMES.search(_TEXTS.sub("", cell.number_format)):
        return cell.value.date()
    return cell.value


def _fault_of(cells: Sequence[Any], written: Sequence[Any], width: int) -> str:
    """What of a row cannot be used, with the cell named; empty if all can."""
    for index, cell in enumerate(cells):
        if cell.value is None:
            formula = written[index] if index < len(written) else None
            if formula is not None and formula.data_type == "f":
                return (
                    f"cell {formula.coordinate} holds the formula {str(formula.value)[:60]} and no stored result; "
                    "open the file in a spreadsheet program and save it"
                )
        elif cell.data_type == "e":
            return f"cell {cell.coordinate} holds the error {cell.value}"
        elif index >= width:
            return f"cell {cell.coordinate} stands under no heading"
    return ""


@contextmanager
def _open(file: DataFile, *, formulas: bool = False) -> Iterator[Any]:
    """The workbook, whose cells are read as they are asked for; what is wrong with it is then a `DataError`."""
    import openpyxl

    path = file.plain_path("Excel")
    check_archive(path, limits.MOST_UNPACKED_BYTES)
    with zipfile.ZipFile(path) as archive:
        # All texts of a workbook stand in one table, which is held in memory.
        strings = archive.getinfo(_STRINGS).file_size if _STRINGS in archive.namelist() else 0
    if strings > limits.MOST_JSON_BYTES:
        raise DataError("The texts of this workbook are too large", where=str(path), hint="Save it as CSV (UTF-8).")
    try:
        # Opened here, since openpyxl goes by the file's name.
        with path.open("rb") as raw:
            with silent_warnings():  # of styles and extensions that mean nothing to rows
                book = openpyxl.load_workbook(raw, read_only=True, data_only=not formulas, keep_links=False)
            with closing(book):
                yield book
    except (*BROKEN_ZIP, LookupError, ValueError, TypeError, AttributeError, SyntaxError, OSError) as error:
        raise DataError(f"This workbook cannot be read ({error})", where=str(path)) from error


def _sheet(book: Any, file: DataFile) -> Any:
    """The sheet wanted, or the only one that is shown and not empty."""
    names = [sheet.title for sheet in book.worksheets]
    if file.sheet:
        if file.sheet not in names:
            raise DataError(
                f"The sheet '{file.sheet}' is not there",
                where=str(file.path),
                hint=f"{did_you_mean(file.sheet, names)}Sheets: {', '.join(names)}.",
            )
        sheet = book[file.sheet]
    else:
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible" and _is_filled(sheet)]
        if not shown:
            raise DataError("All sheets of this workbook are empty", where=str(file.path))
        if len(shown) > 1:
            titles = ", ".join(sheet.title for sheet in shown)
            raise DataError(
                f"This workbook has {len(shown)} sheets: {titles}",
                where=str(file.path),
                hint=f'Say which one is meant: {{path: {file.path.name}, sheet: "{shown[0].title}"}}.',
            )
        sheet = shown[0]
    sheet.reset_dimensions()  # some programs write wrong ones
    return sheet


def _is_filled(sheet: Any) -> bool:
    sheet.reset_dimensions()
    return any(value is not None for row in sheet.iter_rows(values_only=True) for value in row)


def _header(rows: Any, file: DataFile) -> tuple[list[str], int]:
    """The column names, and the number of the row that they stand in: the first one that is not empty."""
    for number, cells in enumerate(rows, 1):
        names = ["" if cell.value is None else str(cell.value).strip() for cell in cells]
        while names and not names[-1]:
            names.pop()
        if not names:
            continue
        names = [name or f"column_{index}" for index, name in enumerate(names, 1)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(
                f"The column '{repeated[0]}' stands in the header {names.count(repeated[0])} times",
                where=f"{file.name}:{number}",
                hint="Give every column a name of its own.",
            )
        return names, number
    raise DataError("This sheet is empty", where=str(file.path))


def _has_formulas(path: Any) -> bool:
    """Whether any sheet holds a formula: reading a workbook for them takes twice as long."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith(_SHEETS):
                continue
            with archive.open(name) as sheet:
                end = b""
                while raw := sheet.read(_READ_BYTES):
                    if b"<f>" in (piece := end + raw) or b"<f " in piece or b"<f/" in piece:
                        return True
                    end = piece[-2:]
    return False
