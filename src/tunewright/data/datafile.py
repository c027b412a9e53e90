"""A file to be read as rows: opened through its compression, within bounds, and looked at by its first bytes."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

from tunewright.base.errors import DataError
from tunewright.data.limits import check_unpacked

Packing = Literal["", "gzip", "zstd", "zip"]

HEAD_BYTES = 1 << 16
_MARKS: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
# What Python's zipfile raises for archives that are damaged, encrypted, or packed in a way that it does not know.
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, struct.error)
PACKED_SUFFIXES = (".gz", ".gzip", ".zst", ".zip")
# ZIP archives that are documents of their own.
_OFFICE = ("[Content_Types].xml", "mimetype")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file on this machine, perhaps compressed.

    Args:
        path: Where it lies.
        name: What rows and faults call it.
        packing: How it is compressed.
        member: The one file in a ZIP archive.
        sheet: The sheet wanted of a workbook; empty: its only one.
    """

    path: Path
    name: str
    packing: Packing = ""
    member: str = ""
    sheet: str = ""

    @property
    def suffix(self) -> str:
        """The lower-case suffix without that of the compression."""
        if self.packing == "zip":
            return PurePosixPath(self.member).suffix.lower()
        packed = self.packing and self.path.suffix.lower() in PACKED_SUFFIXES
        return Path(self.path.stem if packed else self.path.name).suffix.lower()

    @property
    def stem(self) -> str:
        """The name without any suffix: the title of a document that has none."""
        name = PurePosixPath(self.member).name if self.packing == "zip" else self.path.name
        return name.removesuffix(self.path.suffix).removesuffix(self.suffix) or name

    def open(self) -> BinaryIO:
        """The content as bytes, unpacked as it is read.

        Raises:
            DataError: Here or while reading: if the file breaks off, or unpacks to far more than its size.
        """
        try:
            if not self.packing:
                return self.path.open("rb")
            size = self.path.stat().st_size
            return io.BufferedReader(_Unpacked(self._unpack(), size, str(self.path)), buffer_size=1 << 18)
        except OSError as error:
            raise DataError(f"This file cannot be read ({error.strerror})", where=str(self.path)) from error
        except BROKEN_ZIP as error:
            raise DataError(f"This ZIP archive cannot be read ({error})", where=str(self.path)) from error

    def _unpack(self) -> Any:
        if self.packing == "gzip":
            return gzip.open(self.path, "rb")
        if self.packing == "zstd":
            import pyarrow

            return pyarrow.input_stream(str(self.path), compression="zstd")
        return zipfile.ZipFile(self.path).open(self.member)

    def plain_path(self, kind: str) -> Path:
        """The path, for a reader that jumps about in the file.

        Raises:
            DataError: If the file is compressed.
        """
        if self.packing:
            raise DataError(f"{kind} inside a {self.packing} file cannot be read", where=str(self.path), hint=UNPACK)
        return self.path


UNPACK = "Unpack it first, and name the file inside."


class _Unpacked(io.RawIOBase):
    """A compressed stream's content, counted as it comes."""

    def __init__(self, stream: Any, packed: int, where: str) -> None:
        self._stream, self._packed, self._where, self._count = stream, packed, where, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            raw = self._stream.read(len(buffer))
        except (*BROKEN_ZIP, OSError) as error:
            raise DataError("This compressed file breaks off, or is damaged", where=self._where) from error
        self._count += len(raw)
        check_unpacked(self._count, self._packed, self._where)
        buffer[: len(raw)] = raw
        return len(raw)

    def close(self) -> None:
        self._stream.close()
        super().close()


def data_file(path: Path, name: str = "", *, sheet: str = "") -> DataFile:
    """A file, and how it is compressed, by its first bytes.

    Raises:
        DataError: If it cannot be read, or is an archive of several files, or one with a password.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DataError(f"This file cannot be read ({error.strerror})", where=str(path)) from error
    packing: Packing = next((packing for mark, packing in _MARKS.items() if start.startswith(mark)), "")
    name = name or path.name
    if packing != "zip":
        return DataFile(path, name, packing, sheet=sheet)
    infos = zip_members(path)
    if any(info.filename in _OFFICE for info in infos):
        return DataFile(path, name, sheet=sheet)
    files = [info for info in infos if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(files) != 1:
        raise DataError(
            f"This ZIP archive holds {len(files):,} files, and not one",
            where=str(path),
            hint="Unpack it into a folder, and name the folder.",
        )
    if files[0].flag_bits & 1:
        raise DataError("This ZIP archive has a password", where=str(path), hint=UNPACK)
    return DataFile(path, name, packing, files[0].filename, sheet)


def zip_members(path: Path) -> list[zipfile.ZipInfo]:
    """What a ZIP archive says that it holds.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (*BROKEN_ZIP, OSError, ValueError) as error:
        raise DataError("This ZIP archive is damaged", where=str(path)) from error


def check_archive(path: Path, most: int) -> None:
    """Raises a `DataError` if a document that is a ZIP archive (DOCX, XLSX) unpacks to more than so many bytes.

    What a member says of its size is all that can be read of it, so the sum holds.
    """
    total = sum(info.file_size for info in zip_members(path))
    check_unpacked(total, path.stat().st_size, str(path))
    if total > most:
        raise DataError(
            f"This file unpacks to {total / 1e6:,.0f} MB, and at most {most / 1e6:,.0f} MB are read",
            where=str(path),
            hint="Cut it into several, or save it as text or CSV (UTF-8).",
        )


@dataclass(frozen=True)
class Head:
    """The beginning of a file, unpacked.

    Args:
        raw: Its first bytes, at most 64 KiB.
        suffix: Its suffix, in lower case.
        members: Names in it, where it is a ZIP archive.
        whole: Whether `raw` is all of it.
    """

    raw: bytes
    suffix: str
    members: frozenset[str]
    whole: bool

    @cached_property
    def text(self) -> str:
        """As UTF-8, with marks where it is none."""
        return self.raw.decode("utf-8-sig", errors="replace")

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, stripped; without empty ones."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @cached_property
    def structure(self) -> str:
        """Which of JSONL, JSON, CSV and TSV it is; empty: none of these."""
        from tunewright.data.structure import structure_of

        return structure_of(self)


def head_of(file: DataFile) -> Head:
    """The beginning of a file."""
    with file.open() as stream:
        raw = stream.read(HEAD_BYTES)
    is_zip = not file.packing and raw.startswith(b"PK\x03\x04")
    members = frozenset(info.filename for info in zip_members(file.path)) if is_zip else frozenset[str]()
    return Head(raw, file.suffix, members, len(raw) < HEAD_BYTES)
