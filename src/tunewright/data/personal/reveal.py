"""Puts originals back in the place of pseudonyms, and opens what is sealed in a ledger."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.files import atomic_file
from tunewright.data.personal.keys import Key, open_sealed
from tunewright.data.personal.pseudonyms import PSEUDONYM
from tunewright.data.personal.vault import Vault, open_vault

VAULT = "redact.vault"
_LINES_AT_ONCE = 20_000


@dataclass
class Revealed:
    """What was put back: pseudonyms, sealed texts, and the pseudonyms that the vault does not know."""

    pseudonyms: int = 0
    sealed: int = 0
    unknown: set[str] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"pseudonyms": self.pseudonyms, "sealed": self.sealed, "unknown": sorted(self.unknown)}

    def summary(self) -> str:
        """What was done, in one line."""
        told = f"{self.pseudonyms:,} pseudonyms and {self.sealed:,} sealed texts revealed."
        if self.unknown:
            told += f" {len(self.unknown):,} pseudonyms are not in the vault: {', '.join(sorted(self.unknown)[:3])} …"
        return told


def find_vault(file: Path) -> Path | None:
    """The vault beside a file, or else in the working directory; none where there is none."""
    return next((place for place in (file.parent / VAULT, Path(VAULT)) if place.is_file()), None)


def reveal_text(text: str, key: Key, vault: Vault | None, count: Revealed) -> str:
    """A text with originals in it; each as it was written when it was first redacted.

    Raises:
        DataError: If there is a pseudonym in it, and no vault.
        WrongKeyError: If something was sealed with another key.
    """
    if "[sealed:" in text:
        text, opened = open_sealed(text, key)
        count.sealed += opened
    if "-" not in text:
        return text

    def original(found: re.Match[str]) -> str:
        if vault is None:
            raise DataError(
                f"There are pseudonyms in it ({found[0]}), and no vault was found",
                hint=f"Name the vault with --vault; the recipe says where it is ({VAULT} by default).",
            )
        known = vault.find(found[0])
        if known is None:
            count.unknown.add(found[0])
            return found[0]
        count.pseudonyms += 1
        return known.text

    return PSEUDONYM.sub(original, text)


def reveal_file(
    path: Path, output: Path | None, key: Key, vault: Path | None, *, listener: Listener = ignore
) -> Revealed:
    """Reveals a file of text, JSONL, JSON, CSV or TSV (by its ending) line by line, or of Parquet as a whole.

    Args:
        path: What to read.
        output: Where to write; none: standard output.
        key: The key.
        vault: Originals by pseudonym; none: only what is sealed is opened.
        listener: Hears how far it is.

    Raises:
        DataError: If the file cannot be read as what it is called, or has pseudonyms in it and there is no vault.
        WorkspaceError: If the vault is not there, or none.
        WrongKeyError: If the vault, or a sealed text, was made with another key.
    """
    if not path.is_file():
        raise DataError("This file is not there", where=str(path))
    count = Revealed()
    with open_vault(vault, key, create=False) if vault else nullcontext() as opened:

        def change(text: str) -> str:
            return reveal_text(text, key, opened, count)

        if path.suffix == ".parquet":
            _reveal_parquet(path, output, change)
            return count
        try:
            with path.open(encoding="utf-8", newline="") as source:
                pieces = _PIECES.get(path.suffix, _plain)(source, change, path)
                _write(_heard(pieces, listener), output)
        except UnicodeDecodeError as error:
            raise DataError(f"This is no text in UTF-8: {error}", where=str(path)) from error
    return count


def _heard(pieces: Iterator[str], listener: Listener) -> Iterator[str]:
    for number, piece in enumerate(pieces, start=1):
        if number % _LINES_AT_ONCE == 0:
            listener(Stage("data", "progress", done=number, unit="lines", note="revealing"))
        yield piece


def _write(pieces: Iterator[str], output: Path | None) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    with atomic_file(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as target:
        target.writelines(pieces)


def _plain(source: IO[str], change: Callable[[str], str], path: Path) -> Iterator[str]:
    for line in source:
        yield change(line)


def _json_lines(source: IO[str], change: Callable[[str], str], path: Path) -> Iterator[str]:
    for number, line in enumerate(source, start=1):
        yield f"{_json(line, change, f'{path}:{number}')}\n" if line.strip() else line


def _whole_json(source: IO[str], change: Callable[[str], str], path: Path) -> Iterator[str]:
    yield f"{_json(source.read(), change, str(path))}\n"


def _json(text: str, change: Callable[[str], str], where: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"This is no JSON: {error}", where=where) from error
    return json.dumps(_walk(value, change), ensure_ascii=False)


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    if isinstance(value, dict):
        return {change(name): _walk(item, change) for name, item in value.items()}
    return value


def _delimited(separator: str) -> Callable[[IO[str], Callable[[str], str], Path], Iterator[str]]:
    def pieces(source: IO[str], change: Callable[[str], str], path: Path) -> Iterator[str]:
        for row in csv.reader(source, delimiter=separator):
            line = io.StringIO()
            csv.writer(line, delimiter=separator, lineterminator="\n").writerow(map(change, row))
            yield line.getvalue()

    return pieces


_PIECES = {".jsonl": _json_lines, ".json": _whole_json, ".csv": _delimited(","), ".tsv": _delimited("\t")}


def _reveal_parquet(path: Path, output: Path | None, change: Callable[[str], str]) -> None:
    import polars as pl

    from tunewright.data.frame import map_text

    if output is None:
        raise DataError("A Parquet file cannot be printed", where=str(path), hint="Say where to write with --output.")
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"This Parquet file cannot be read: {error}", where=str(path)) from error
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    with atomic_file(output) as temporary:
        frame.with_columns(map_text(frame[name], change) for name in texts).write_parquet(temporary)
