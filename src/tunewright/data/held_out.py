"""What decides, beside chance, which rows are held out: groups that stay together, and time."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.base.errors import SHOWN_FAULTS, DataError, collect
from tunewright.data.pieces import Pieces, coded
from tunewright.data.split import HOMES, Codes, Keys, split_rows, wanted_parts
from tunewright.recipe.schema import Split

# The column of examples that holds what a recipe's `data.split.by` names.
SPLIT_BY = "split_by"


def find_homes(
    train: Pieces, strata: Codes, settings: Split, *, parts: Iterable[str], seed: int
) -> npt.NDArray[np.int8]:
    """The part that each row belongs to, as its place in `HOMES`, shape (n,).

    Args:
        train: Examples, with `prompt_key` and, where the recipe names a column, `split_by`.
        strata: For each row, the number of the group whose share each part keeps, where chance decides.
        settings: How many rows to hold out, and by what.
        parts: Those of `test` and `validation` to take out of these rows.
        seed: The recipe's seed.

    Raises:
        DataError: If nothing would be left to train on, or a row's time cannot be read.
    """
    keys = coded(train, "prompt_key")
    by = settings.by
    if not by.column:
        return split_rows(keys, strata, settings, parts=parts, seed=seed)
    values = train.whole(SPLIT_BY)[SPLIT_BY]
    if by.group:
        return split_rows(together(keys, values.to_list()), strata, settings, parts=parts, seed=seed)
    wanted = wanted_parts(settings, parts, len(keys))
    places = train.whole("source", "line").select(pl.format("{}:{}", "source", "line")).to_series()
    times = read_times(values.to_list(), places.to_list(), column=by.time)
    clusters = np.unique(keys, return_inverse=True)[1]
    found = newest(clusters, times, list(wanted.values()))
    home = np.array([HOMES.index("train"), *(HOMES.index(part) for part in wanted)], dtype=np.int8)
    homes: npt.NDArray[np.int8] = home[found]
    if not (homes == HOMES.index("train")).any():
        raise DataError(
            "All rows are tied to the newest ones by their texts, and none is left to train on",
            where="data.split",
            hint="Drop copies first (exact_duplicates), or lower data.split.test and data.split.validation.",
        )
    return homes


def together(keys: Keys, groups: Sequence[str | None]) -> Keys:
    """One name for all rows that must stay on one side: those that share a key or a group, or are linked by others.

    Args:
        keys: For each row, what its text is known by, shape (n,).
        groups: For each row its group; None: it belongs to none.

    Returns:
        For each row the smallest key among all rows that it must stay with, shape (n,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, of_row = np.unique(keys, return_inverse=True)
    grouped = [row for row, group in enumerate(groups) if group is not None]
    number: dict[str, int] = {}
    group_of = np.array([number.setdefault(str(groups[row]), len(number)) for row in grouped], dtype=np.int64)
    nodes = len(names) + len(number)
    links = coo_array((np.ones(len(grouped)), (of_row[grouped], len(names) + group_of)), shape=(nodes, nodes))
    _, component = connected_components(links, directed=False)
    first = np.full(nodes, len(names), dtype=np.int64)
    np.minimum.at(first, component[: len(names)], np.arange(len(names)))
    found: Keys = names[first[component[: len(names)]]][of_row]
    return found


def newest(
    clusters: npt.NDArray[np.int64], times: npt.NDArray[np.float64], wanted: Sequence[int]
) -> npt.NDArray[np.int8]:
    """Holds out the newest rows: the last so many for the first part, those before them for the second, and so on.

    Rows of a cluster stay together, and count as new as their newest one, so that nothing newer than a row that is
    held out is learned. A cluster is never cut, so a part may get more rows than wanted.

    Args:
        clusters: For each row the number of its cluster, shape (n,); of equally new ones the lower goes first.
        times: For each row when it was made, shape (n,).
        wanted: How many rows each part wants.

    Returns:
        For each row the number of its part, counted from 1; 0 where it is held out of none; shape (n,).
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    latest = np.full(count, -np.inf)
    np.maximum.at(latest, clusters, times)
    rows = np.bincount(clusters, minlength=count)
    part = np.zeros(count, dtype=np.int8)
    order = iter(np.lexsort((np.arange(count), -latest)).tolist())
    for number, most in enumerate(wanted, 1):
        missing = most
        while missing > 0 and (cluster := next(order, None)) is not None:
            part[cluster] = number
            missing -= int(rows[cluster])
    found: npt.NDArray[np.int8] = part[clusters]
    return found


def read_times(values: Sequence[str | None], places: Sequence[str], *, column: str) -> npt.NDArray[np.float64]:
    """A column's dates (ISO 8601; without a zone: UTC) in seconds since 1970, or its numbers; shape (n,).

    Args:
        values: The cells.
        places: Where each row stands, for an error.
        column: The column's name.

    Raises:
        DataError: If a cell is neither; lists the first.
    """
    times = np.array([_time(value) for value in values], dtype=np.float64)
    bad = np.flatnonzero(np.isnan(times))
    if len(bad):
        shown = [f"{places[row]}: {values[row]!r}" for row in bad[:SHOWN_FAULTS]]
        raise DataError(
            f"{len(bad):,} of {len(values):,} rows have neither a date nor a number in '{column}'",
            where="data.split.by.time",
            hint="Mend them with the step iso_dates, or drop them with the step require.\n"
            + collect(shown, total=len(bad)),
        )
    return times


def _time(value: str | None) -> float:
    """Seconds, or the number; not a number where it is neither."""
    if value is None:
        return float("nan")
    text = value.strip()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return zoned.timestamp()
