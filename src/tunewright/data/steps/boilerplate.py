"""Takes out what stands around a message: quoted replies, signatures, and lines that many rows share.

A cell never loses all of its lines, so labels and short answers that repeat are safe; code blocks are left alone.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from tunewright.data.folding import fold
from tunewright.data.frame import ColumnsConfig, StepResult, change_columns, check_columns

_FENCE = re.compile(r"\s*(?:```|~~~)")
_QUOTE = re.compile(r"\s{0,3}>")
_COUNTS = 1 << 22  # 16 MiB of rough counts a column
# "On Tue, 5 Mar 2024 at 10:30, Ann <ann@x.example> wrote:" in the languages mail programs most often speak.
_REPLY = re.compile(
    r"\s*(?:On\b.{6,300}\bwrote|Am\b.{6,300}\bschrieb\b.{0,200}|Le\b.{6,300}\ba écrit|El\b.{6,300}\bescribió|"
    r"Il\b.{6,300}\bha scritto|Em\b.{6,300}\bescreveu|Op\b.{6,300}\bschreef\b.{0,200})\s*:\s*"
)
# What follows one of these was written by somebody else.
_FORWARDED = re.compile(
    r"\s*(?:-{3,}|_{5,})\s*(?:(?:original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht|"
    r"message d'origine|message transféré|mensaje original|messaggio originale)\s*-{3,}\s*)",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"\s*(?:sent from my .{2,40}|sent from .{2,20} for (?:ios|android|windows.{0,5})|get outlook for .{2,20}|"
    r"sent via .{2,40}|von meinem .{2,40} gesendet|gesendet von (?:meinem )?.{2,40}|envoyé de mon .{2,40}|"
    r"enviado desde mi .{2,40}|inviato da(?:l mio)? .{2,40}|verstuurd vanaf mijn .{2,40})\s*",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"-- ?")  # RFC 3676, section 4.3: what follows is the signature


class Config(ColumnsConfig):
    """Settings of `boilerplate`."""

    name: Literal["boilerplate"] = "boilerplate"
    columns: tuple[str, ...] = Field((), description="Columns to work on.")
    quotes: bool = Field(True, description="Take out quoted replies: `>` lines, 'On … wrote:', forwarded messages.")
    signatures: bool = Field(True, description="Take out 'Sent from my …', and what follows a line `-- `.")
    least_rows: int = Field(20, ge=2, description="A line that so many rows share is boilerplate …")
    least_share: float = Field(0.01, ge=0, le=1, description="… if they are also this share of all rows.")
    least_characters: int = Field(20, ge=1, description="Shorter lines are never boilerplate for being shared.")

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        # A system prompt is the same in each row too, and is meant.
        if not self.columns:
            raise ValueError("boilerplate needs 'columns', such as the one that holds the messages' text")
        return self


@dataclass(frozen=True, slots=True)
class Known:
    """What all rows together say.

    Args:
        lines: Hashes of the lines that are boilerplate, for each column.
    """

    lines: dict[str, frozenset[int]]


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Counts in how many cells of several lines each line stands, after quotes and signatures are gone.

    Two passes in little memory. The first counts lines by some bits of their hash, so that several may share a count;
    the second counts those alone whose shared count is high enough.
    """
    rough = {column: np.zeros(_COUNTS, dtype=np.int32) for column in config.columns}
    rows = 0
    for piece in pieces:
        check_columns(piece, config.columns, config.name)
        rows += piece.height
        for column, keys in _shared_lines(piece, config):
            np.add.at(rough[column], keys % _COUNTS, 1)
    least = max(config.least_rows, config.least_share * rows)
    counts: dict[str, Counter[int]] = {column: Counter() for column in config.columns}
    if any(int(count.max()) >= least for count in rough.values()):
        for piece in pieces:
            for column, keys in _shared_lines(piece, config):
                counts[column].update(keys[rough[column][keys % _COUNTS] >= least].tolist())
    return Known(
        {column: frozenset(line for line, cells in count.items() if cells >= least) for column, count in counts.items()}
    )


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Cells without quotes, signatures and shared lines; the lines that stay keep every byte."""
    check_columns(frame, config.columns, config.name)
    logs = []
    for column in config.columns:
        change = partial(_clean, config=config, shared=known.lines[column])
        frame, log = change_columns(frame, [column], change, "boilerplate removed")
        logs.append(log)
    log = pl.concat(logs)
    breaks = log.select(pl.col("before", "after").str.count_matches("\n").sum())
    return StepResult(
        frame, log, {"cells_changed": log.height, "lines_removed": int(breaks["before"][0]) - int(breaks["after"][0])}
    )


def _clean(text: str, config: Config, shared: frozenset[int]) -> str:
    """A cell without boilerplate. Taking a line out may bring another to the end, so it is looked at again."""
    if "\n" not in text:
        return text
    before = None
    while text != before:
        before = text
        text = _without_mail(text, config)
        if shared:
            text = _kept(text, [not inside and _key(line) in shared for line, inside in _lines(text)])
    return text


def _without_mail(text: str, config: Config) -> str:
    """A cell without quoted replies and signatures."""
    lines = list(_lines(text))
    goes = [False] * len(lines)
    for index, (line, inside) in enumerate(lines):
        if inside:
            continue
        if config.quotes and (_FORWARDED.fullmatch(line) or (_REPLY.fullmatch(line) and _is_last_word(lines, index))):
            goes[index:] = [True] * (len(lines) - index)
            break
        if config.signatures and index and _DELIMITER.fullmatch(line):
            goes[index:] = [True] * (len(lines) - index)
            break
        goes[index] = bool(
            (config.quotes and (_QUOTE.match(line) or _REPLY.fullmatch(line)))
            or (config.signatures and _SIGNATURE.fullmatch(line))
        )
    return _kept(text, goes)


def _is_last_word(lines: list[tuple[str, bool]], index: int) -> bool:
    """Whether nobody marked what follows 'On … wrote:' as a quote, so that all of it is one."""
    return not any(_QUOTE.match(line) for line, _ in lines[index + 1 :])


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is part of a code block."""
    inside = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            yield line, True
            inside = not inside
        else:
            yield line, inside


def _kept(text: str, goes: list[bool]) -> str:
    """The text without some of its lines, and without the empty ones that then stand at the end.

    Where nothing would be left the first line that says something stays.
    """
    if not any(goes):
        return text
    lines = text.split("\n")
    kept = [line for line, gone in zip(lines, goes, strict=True) if not gone]
    while kept and not kept[-1].strip():
        kept.pop()
    if any(line.strip() for line in kept):
        return "\n".join(kept)
    return next(line for line in lines if line.strip())


def _shared_lines(piece: pl.DataFrame, config: Config) -> Iterator[tuple[str, npt.NDArray[np.uint64]]]:
    """For each column the lines that may turn out to be boilerplate, by their keys, each once a cell."""
    for column in config.columns:
        keys: list[int] = []
        for text in piece[column].drop_nulls():
            own = _without_mail(text, config) if "\n" in text else text
            if "\n" in own:
                lines = (line for line, inside in _lines(own) if not inside)
                keys += {_key(line) for line in lines if len(line.strip()) >= config.least_characters}
        yield column, np.array(keys, dtype=np.uint64)


def _key(line: str) -> int:
    """64 bits of a line's hash, without case and white space: millions of lines would not fit in memory."""
    return int.from_bytes(hashlib.blake2b(fold(line).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
