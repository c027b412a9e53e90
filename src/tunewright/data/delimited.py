"""CSV and TSV, row by row, with true line numbers and recovery from broken quotes."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from tunewright.base.errors import DataError
from tunewright.data.datafile import DataFile
from tunewright.data.limits import read_line, too_long
from tunewright.data.rows import Fault, Row

NOT_UTF8 = "byte 0x{byte:02X} at position {position} is not UTF-8; save the file as UTF-8"
NUL = "the line holds a NUL byte"
DELIMITERS = (",", ";", "\t", "|")


class _Lines:
    """A file's lines as text, for `csv.reader`, with a way to give lines back.

    Bytes that are no UTF-8 are carried through as surrogates, so that one bad line spoils one row only; `bad`
    holds the reason for each line that must not be used.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._again: deque[tuple[int, str]] = deque()
        self._number = 0
        self.record: list[tuple[int, str]] = []
        self.bad: dict[int, str] = {}

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._again:
            numbered = self._again.popleft()
        else:
            raw, too_large = read_line(self._file)
            if not raw:
                raise StopIteration
            self._number += 1
            if too_large:
                self.bad[self._number] = too_long()
            numbered = (self._number, self._decode(raw))
        self.record.append(numbered)
        return numbered[1]

    def _decode(self, raw: bytes) -> str:
        if b"\0" in raw:
            self.bad[self._number] = NUL
        try:
            return raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            self.bad[self._number] = NOT_UTF8.format(byte=raw[error.start], position=error.start + 1)
            return raw.decode("utf-8", errors="surrogateescape")

    def start_record(self) -> None:
        """Forgets the lines of the last record."""
        self.record.clear()

    def start_over(self) -> None:
        """Reads all lines of the current record again."""
        self._again.extendleft(reversed(self.record))
        self.record.clear()

    def give_back(self) -> None:
        """Reads all lines of the current record again but its first."""
        self._again.extendleft(reversed(self.record[1:]))

    def faults_of_record(self) -> list[tuple[int, str]]:
        """(line, reason) of the unusable lines in the current record."""
        return [(number, self.bad[number]) for number, _ in self.record if number in self.bad]


def guess_delimiter(header: str, usual: str) -> str:
    """The delimiter that stands most often in the header outside quotes; the suffix's usual one wins a tie."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=lambda mark: (outside.count(mark), mark == usual))


def read_delimited(file: DataFile, *, usual: str) -> Iterator[Row | Fault]:
    """Rows and faults of a CSV or TSV file, in order.

    A record that is broken (ragged, a quote left open, bytes that are no UTF-8, NUL) is a fault of the line it
    starts on, and reading goes on at the line after: a stray quote cannot swallow the rows behind it.

    Args:
        file: The file.
        usual: The delimiter that the suffix suggests.

    Raises:
        DataError: If the header cannot be used.
    """
    name = file.name
    header, delimiter = _header(file, usual)
    with file.open() as stream:
        lines = _Lines(stream)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        next(reader)
        while True:
            lines.start_record()
            try:
                cells = next(reader)
                reason = "" if len(cells) == len(header) or not cells else _ragged(len(cells), len(header))
            except StopIteration:
                return
            except csv.Error as error:
                cells, reason = [], _csv_fault(error)
            bad = lines.faults_of_record()
            if bad or reason:
                line = bad[0][0] if bad and not reason else lines.record[0][0]
                yield Fault(name, line, reason or bad[0][1])
                if reason:
                    lines.give_back()
            elif cells:
                yield Row(dict(zip(header, cells, strict=True)), name, lines.record[0][0])


def read_header(file: DataFile, *, usual: str) -> list[str]:
    """The column names of a CSV or TSV file."""
    return _header(file, usual)[0]


def _header(file: DataFile, usual: str) -> tuple[list[str], str]:
    name = file.name
    with file.open() as stream:
        lines = _Lines(stream)
        first = next(lines, "")
        delimiter = guess_delimiter(first, usual)
        lines.start_over()
        try:
            header = [cell.strip() for cell in next(csv.reader(lines, delimiter=delimiter, strict=True), [])]
        except csv.Error as error:
            raise DataError(f"The header cannot be read: {_csv_fault(error)}", where=f"{name}:1") from error
    if lines.bad:
        number, reason = next(iter(lines.bad.items()))
        raise DataError(f"The header cannot be read: {reason}", where=f"{name}:{number}")
    if not any(header):
        raise DataError("The first line is empty, and should hold the column names", where=f"{name}:1")
    header = [cell or f"column_{index}" for index, cell in enumerate(header, 1)]
    repeated = sorted({cell for cell in header if header.count(cell) > 1})
    if repeated:
        raise DataError(
            f"The column '{repeated[0]}' stands in the header {header.count(repeated[0])} times",
            where=f"{name}:1",
            hint="Give every column a name of its own.",
        )
    return header, delimiter


def _ragged(cells: int, columns: int) -> str:
    return f"{cells} cells where the header has {columns}"


def _csv_fault(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote is opened here and never closed"
    if "field larger than" in text:
        return f"a cell of more than {csv.field_size_limit():,} characters; is a quote never closed?"
    if "expected after" in text:
        return "text follows a closing quote; double a quote inside a quoted cell"
    return text
