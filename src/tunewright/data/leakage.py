"""Held-out rows whose text also stands in train, but for white space and case."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tunewright.base.errors import DataError, collect


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was found.

    Args:
        ids: Ids of the held-out rows.
        places: `test.csv:7 = train.csv:12` for each of them, in order.
        keys: The texts' keys.
    """

    ids: frozenset[str]
    places: tuple[str, ...]
    keys: frozenset[str]


def find_leaks(held: pl.DataFrame, seen: pl.DataFrame) -> Leaks:
    """The rows of `held` whose `prompt_key` also stands in `seen`; both with `id, source, line, prompt_key`."""
    place = pl.concat_str(pl.col("source"), pl.lit(":"), pl.col("line").cast(pl.String))
    first = seen.select("prompt_key", place.alias("seen")).unique("prompt_key", keep="first", maintain_order=True)
    found = held.select("id", "prompt_key", place.alias("held")).join(
        first, on="prompt_key", how="inner", maintain_order="left"
    )
    places = tuple(f"{ours} = {theirs}" for ours, theirs in found.select("held", "seen").iter_rows())
    return Leaks(frozenset(found["id"]), places, frozenset(found["prompt_key"]))


def refuse_leaks(part: str, leaks: Leaks) -> None:
    """Raises a `DataError` that lists the first rows, if there are any."""
    if not leaks.ids:
        return
    raise DataError(
        f"{len(leaks.ids):,} {part} rows also stand in the training data but for white space and case",
        where=f"data.{part}",
        hint="Take them out of one of the files, or set data.leakage to 'report' (both scores are shown) or 'drop' "
        f"(they leave the training data). They are:\n{collect(leaks.places)}",
    )
