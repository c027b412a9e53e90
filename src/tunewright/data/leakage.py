"""Held-out rows whose text also stands in train, but for white space and case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from tunewright.base.errors import DataError, collect

# Where an example came from: `test.csv:7`.
PLACE = pl.concat_str(pl.col("source"), pl.lit(":"), pl.col("line").cast(pl.String))


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was found.

    Args:
        ids: Ids of the held-out rows.
        places: `test.csv:7 = train.csv:12` for each of them, in order.
        keys: The keys of those texts that they are like.
        ways: How many were found in each way, `exact` before all; a row counts once.
    """

    ids: frozenset[str]
    places: tuple[str, ...]
    keys: frozenset[str]
    ways: Mapping[str, int] = field(default_factory=dict)


_REPORT = "'report' (both scores are shown) or "
_OTHERWISE = {"challenger": ""}  # such rows are never learned, so there is nothing to report


def find_leaks(held: Iterable[pl.DataFrame], seen: Iterable[pl.DataFrame]) -> Leaks:
    """The rows of `held` whose `prompt_key` also stands in `seen`; both with `id, source, line, prompt_key`."""
    empty = pl.DataFrame(schema={"id": pl.String, "prompt_key": pl.String, "held": pl.String})
    ours = pl.concat([empty, *(frame.select("id", "prompt_key", PLACE.alias("held")) for frame in held)])
    keys = ours["prompt_key"].unique().implode()
    shared = (frame.filter(pl.col("prompt_key").is_in(keys)) for frame in seen)
    theirs = pl.concat(
        [
            pl.DataFrame(schema={"prompt_key": pl.String, "seen": pl.String}),
            *(frame.select("prompt_key", PLACE.alias("seen")) for frame in shared),
        ]
    ).unique("prompt_key", keep="first", maintain_order=True)
    found = ours.join(theirs, on="prompt_key", how="inner", maintain_order="left")
    places = tuple(f"{one} = {other}" for one, other in found.select("held", "seen").iter_rows())
    return Leaks(frozenset(found["id"]), places, frozenset(found["prompt_key"]), {"exact": found.height})


def refuse_leaks(part: str, leaks: Leaks) -> None:
    """Raises a `DataError` that lists the first rows, if there are any."""
    if not leaks.ids:
        return
    raise DataError(
        f"{len(leaks.ids):,} {part} rows also stand in the training data{how(leaks.ways)}",
        where=f"data.{part}",
        hint=f"Take them out of one of the files, or set data.leakage to {_OTHERWISE.get(part, _REPORT)}'drop' "
        f"(they leave the training data). They are:\n{collect(leaks.places)}",
    )


_SAID = {
    "exact": "but for white space and case",
    "near": "nearly",
    "ngram": "by a long run of words",
    "meaning": "in other words",
}


def how(ways: Mapping[str, int]) -> str:
    """In what ways rows were found, as a sentence has it."""
    found = {way: rows for way, rows in ways.items() if rows}
    if set(found) <= {"exact"}:
        return f" {_SAID['exact']}"
    return ": " + ", ".join(f"{rows:,} {_SAID[way]}" for way, rows in found.items())
