"""Files that are either whole or absent, and hashes of what is in them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewright.base.errors import DiskFullError

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def disk_guard(path: Path) -> Iterator[None]:
    """Turns "no space left" into a `DiskFullError` that names the place."""
    try:
        yield
    except Exception as error:
        if not _is_disk_full(error):
            raise
        raise DiskFullError(
            "No space is left on this disk",
            where=str(path),
            hint="Free some space and start again; finished work and checkpoints are kept.",
        ) from error


def _is_disk_full(error: Exception) -> bool:
    # Libraries written in Rust or C++ (polars, safetensors, torch) raise errors of their own with the system's text.
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in numbers or any(os.strerror(number) in str(error) for number in numbers)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is flushed to disk and renamed into place."""
    with disk_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with disk_guard(path):
            yield temporary
            _flush(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path`; on success it is flushed and renamed into place.

    Where `path` exists already (another process was first), the new folder is thrown away: callers name
    folders by their content, so both hold the same.
    """
    with part_directory(path.parent, path.name) as temporary:
        yield temporary
        settle(temporary, path)


@contextlib.contextmanager
def part_directory(parent: Path, stem: str) -> Iterator[Path]:
    """Yields an empty temporary folder `.STEM.….part` in `parent`; what is not settled elsewhere is removed."""
    with disk_guard(parent / stem):
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{stem}.", suffix=".part", dir=parent))
    try:
        with disk_guard(parent / stem):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def settle(temporary: Path, path: Path) -> bool:
    """Flushes a temporary folder and renames it to `path`; false where something stands there already."""
    for entry in sorted(temporary.rglob("*")):
        _flush(entry)
    temporary.chmod(0o755)
    _flush(temporary)
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    _flush(path.parent)
    return True


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, as UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically: sorted keys, indented, UTF-8, a final newline."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_folder(path: Path) -> str:
    """SHA-256 over the relative names and contents of all files below a folder, in hex."""
    return hash_listing(folder_listing(path))


def folder_listing(path: Path) -> dict[str, str]:
    """Relative name and SHA-256 of every file below a folder, sorted by path."""
    found = sorted(entry for entry in path.rglob("*") if entry.is_file())
    return {entry.relative_to(path).as_posix(): hash_file(entry) for entry in found}


def hash_listing(listing: Mapping[str, str]) -> str:
    """The hash of a folder whose files are known: `hash_folder` without reading them again."""
    digest = hashlib.sha256()
    for name, content in listing.items():
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def hash_value(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _flush(path: Path) -> None:
    """Asks the system to put a file or folder on disk, so that a rename never outruns the bytes it names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
