"""Holding rows out, so that no text stands on both sides and labels keep their shares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tunewright.base.errors import DataError
from tunewright.base.seeds import derive
from tunewright.recipe.schema import Split

HELD_OUT = ("test", "validation")
HOMES = ("train", "validation", "test")

_CHUNK_NAMES = 100_000

Name = TypeVar("Name", str, int)
Keys = npt.NDArray[np.bytes_]
Codes = npt.NDArray[np.int32]


def wanted_rows(setting: float, total: int) -> int:
    """Rows that a setting asks for: below one it is a share of all rows, from one up a count."""
    return round(setting * total) if setting < 1 else int(setting)


def wanted_parts(settings: Split, parts: Iterable[str], total: int) -> dict[str, int]:
    """How many of all rows each part is to hold.

    Raises:
        DataError: If nothing would be left to train on.
    """
    wanted = {part: wanted_rows(getattr(settings, part), total) for part in HELD_OUT if part in set(parts)}
    if sum(wanted.values()) >= total:
        asked = " and ".join(f"{rows:,} rows for {part}" for part, rows in wanted.items())
        raise DataError(
            f"There are {total:,} usable rows, and the split takes {asked}; none is left to train on",
            where="data.split",
            hint="Lower data.split.test and data.split.validation, or bring more rows.",
        )
    return wanted


def split_rows(keys: Keys, strata: Codes, settings: Split, *, parts: Iterable[str], seed: int) -> npt.NDArray[np.int8]:
    """The part each row belongs to, as its place in `HOMES`, shape (n,).

    Rows with one key stay together. Which are held out depends on the keys and the seed, and not on the rows' order.

    Args:
        keys: For each row, what its cluster is called, shape (n,).
        strata: For each row, the number of the group whose share each part keeps, shape (n,); the lowest in a cluster
            speaks for it.
        settings: How many rows to hold out.
        parts: Those of `test` and `validation` to take out of these rows.
        seed: The recipe's seed.

    Raises:
        DataError: If nothing would be left to train on.
    """
    wanted = wanted_parts(settings, parts, len(keys))
    if not sum(wanted.values()):
        return np.zeros(len(keys), dtype=np.int8)
    first, cluster = _clustered(keys)
    rows = np.bincount(cluster, minlength=len(first))
    # Where the rows of a cluster differ, the lowest group speaks for it: the rows' order must not matter.
    stratum = np.full(len(first), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(stratum, cluster, strata)
    order = _drawn(keys, first, derive(seed, "split"))
    clusters = _Clusters(rows[order].tolist(), stratum[order].tolist())
    home = np.zeros(len(first), dtype=np.int8)
    waiting = [part for part, count in wanted.items() if count]
    while waiting:
        part = waiting.pop(0)
        _hold_out(clusters, wanted[part], HOMES.index(part), reserved=1 + len(waiting))
    home[order] = clusters.home
    found: npt.NDArray[np.int8] = home[cluster]
    return found


def check_test_rows(rows: int, total: int, settings: Split, *, given: bool) -> None:
    """Raises a `DataError` if fewer test rows are held out than the recipe demands.

    Args:
        rows: Test rows there are.
        total: All usable rows they were taken from.
        settings: The recipe's split.
        given: Whether the recipe names test files.
    """
    least = settings.minimum_test_rows
    if rows >= least:
        return
    if given:
        hint = "Bring more test rows, or lower data.split.minimum_test_rows."
    elif total > 2 * least:
        hint = (
            f"Set data.split.test to {least}, name test files under data.test, or lower data.split.minimum_test_rows."
        )
    else:
        hint = "There are few rows: bring more, or lower data.split.minimum_test_rows and mind the wide intervals."
    source = "in data.test" if given else f"out of {total:,} usable rows"
    raise DataError(
        f"{rows:,} test rows {source} are fewer than data.split.minimum_test_rows, {least:,}",
        where="data.split",
        hint=hint,
    )


def _clustered(keys: Keys) -> tuple[npt.NDArray[np.int64], Codes]:
    """A row of each cluster, the clusters in the order of their keys, and each row's cluster by number.

    What `np.unique` finds, without its copies of all keys.
    """
    order = np.argsort(keys, kind="stable")
    opens = np.ones(len(keys), dtype=bool)
    for start in range(1, len(keys), _CHUNK_NAMES):
        some = keys[order[start - 1 : start + _CHUNK_NAMES]]
        opens[start : start + _CHUNK_NAMES] = some[1:] != some[:-1]
    cluster = np.empty(len(keys), dtype=np.int32)
    cluster[order] = np.cumsum(opens, dtype=np.int32) - 1
    return order[opens], cluster


def _drawn(keys: Keys, first: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """The clusters in an order that only the seed and their keys decide; `first` is a row of each."""
    mark = f"{seed}/".encode()
    draws = np.empty(len(first), dtype="S16")
    # Some at a time: as Python's own bytes they would take several times the memory.
    for start in range(0, len(first), _CHUNK_NAMES):
        some = keys[first[start : start + _CHUNK_NAMES]].tolist()
        draws[start : start + len(some)] = [hashlib.blake2b(mark + name, digest_size=16).digest() for name in some]
    return np.argsort(draws, kind="stable")


class _Clusters:
    """Clusters in the order they are drawn.

    Args:
        rows: How many rows each has.
        stratum: The group of each.
    """

    def __init__(self, rows: Sequence[int], stratum: Sequence[int]) -> None:
        self.rows, self.stratum = rows, stratum
        self.home = [0] * len(rows)
        self.rows_in: Counter[int] = Counter()
        for size, group in zip(rows, stratum, strict=True):
            self.rows_in[group] += size


def _hold_out(clusters: _Clusters, wanted: int, part: int, *, reserved: int) -> None:
    """Notes the clusters that make up a part.

    Args:
        reserved: Clusters of each group that are left to train and to parts still to come. A group with more of them
            has a place in this part, however small its share.
    """
    rows, stratum, home = clusters.rows, clusters.stratum, clusters.home
    left = Counter(group for group, at in zip(stratum, home, strict=True) if not at)
    smallest: dict[int, int] = {}
    for group, size, at in zip(stratum, rows, home, strict=True):
        if not at and left[group] > reserved:
            smallest[group] = min(size, smallest.get(group, size))
    quota = spare_minorities(apportion(wanted, clusters.rows_in), smallest)
    missing = wanted
    # First each stratum its share; then what clusters too large for a share left open; in both, some of each stratum
    # stays to be learned, and for the parts to come. Only then are strata used up.
    for shares, keep_one in ((True, True), (False, True), (False, False)):
        for place, group in enumerate(stratum):
            if not missing:
                return
            room = min(missing, quota[group]) if shares else missing
            if home[place] or rows[place] > room or (keep_one and left[group] <= reserved):
                continue
            home[place] = part
            left[group] -= 1
            quota[group] -= rows[place]
            missing -= rows[place]


def spare_minorities(quota: Mapping[int, int], least: Mapping[int, int]) -> dict[int, int]:
    """Quotas that give each group which can spare one at least its smallest cluster; others give up as much.

    Args:
        quota: Rows of each group that a part is to hold.
        least: Rows of the smallest cluster of each group that can spare one.

    Returns:
        The quotas, with the same sum. Where there is not enough for all groups, the first by number come first.
    """
    found = dict(quota)
    spare = {group: rows - least.get(group, 0) for group, rows in found.items()}
    free = sum(rows for rows in spare.values() if rows > 0)
    for group in sorted(group for group, rows in spare.items() if rows < 0):
        lacking = -spare[group]
        if lacking > free:
            continue
        for _ in range(lacking):
            giver = max(spare, key=lambda other: (spare[other], -other))
            found[giver] -= 1
            spare[giver] -= 1
        found[group] += lacking
        spare[group] = 0
        free -= lacking
    return found


def apportion(wanted: int, sizes: Mapping[Name, int]) -> dict[Name, int]:
    """Shares out a number in proportion to sizes, by largest remainder; ties go by name."""
    total = sum(sizes.values())
    exact = {name: wanted * size / total for name, size in sizes.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares
