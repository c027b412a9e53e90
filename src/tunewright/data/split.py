"""Holding rows out, so that no text stands on both sides and labels keep their shares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunewright.base.errors import DataError
from tunewright.base.seeds import derive
from tunewright.recipe.schema import Split

HELD_OUT = ("test", "validation")


def wanted_rows(setting: float, total: int) -> int:
    """Rows that a setting asks for: below one it is a share of all rows, from one up a count."""
    return round(setting * total) if setting < 1 else int(setting)


def split_rows(
    keys: Sequence[str], strata: Sequence[str], settings: Split, *, parts: Iterable[str], seed: int
) -> list[str]:
    """The part each row belongs to: `train`, `validation` or `test`.

    Rows with one key stay together. Which are held out depends on the keys and the seed, and not on the rows' order.

    Args:
        keys: For each row, what its cluster is called.
        strata: For each row, the group whose share each part keeps; the first row speaks for its cluster.
        settings: How many rows to hold out.
        parts: Those of `test` and `validation` to take out of these rows.
        seed: The recipe's seed.

    Raises:
        DataError: If nothing would be left to train on.
    """
    wanted = {part: wanted_rows(getattr(settings, part), len(keys)) for part in HELD_OUT if part in set(parts)}
    if sum(wanted.values()) >= len(keys):
        asked = " and ".join(f"{rows:,} rows for {part}" for part, rows in wanted.items())
        raise DataError(
            f"There are {len(keys):,} usable rows, and the split takes {asked}; none is left to train on",
            where="data.split",
            hint="Lower data.split.test and data.split.validation, or bring more rows.",
        )
    clusters = _clusters(keys, strata, derive(seed, "split"))
    home: dict[str, str] = {}
    for part, rows in wanted.items():
        _hold_out(clusters, rows, part, home)
    return [home.get(key, "train") for key in keys]


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


@dataclass(frozen=True, slots=True)
class _Cluster:
    key: str
    rows: int
    stratum: str


def _clusters(keys: Sequence[str], strata: Sequence[str], seed: int) -> list[_Cluster]:
    """The clusters in an order that only the seed and the keys decide."""
    rows = Counter(keys)
    # Where the rows of a cluster differ, the smallest name speaks for it: the rows' order must not matter.
    stratum: dict[str, str] = {}
    for key, name in zip(keys, strata, strict=True):
        stratum[key] = min(stratum.get(key, name), name)
    drawn = {key: hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=16).digest() for key in rows}
    return [_Cluster(key, rows[key], stratum[key]) for key in sorted(rows, key=drawn.__getitem__)]


def _hold_out(clusters: Sequence[_Cluster], wanted: int, part: str, home: dict[str, str]) -> None:
    """Notes in `home` the clusters that make up a part."""
    free = [cluster for cluster in clusters if cluster.key not in home]
    left = Counter(cluster.stratum for cluster in free)
    quota = apportion(wanted, Counter(dict.fromkeys(left, 0)) + _row_counts(clusters))
    missing = wanted
    # First each stratum its share; then what clusters too large for a share left open; in both, some of each stratum
    # stays to be learned. Only then are strata used up.
    for shares, keep_one in ((True, True), (False, True), (False, False)):
        for cluster in free:
            room = min(missing, quota[cluster.stratum]) if shares else missing
            if cluster.key in home or cluster.rows > room or (keep_one and left[cluster.stratum] == 1):
                continue
            home[cluster.key] = part
            left[cluster.stratum] -= 1
            quota[cluster.stratum] -= cluster.rows
            missing -= cluster.rows


def _row_counts(clusters: Iterable[_Cluster]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for cluster in clusters:
        counts[cluster.stratum] += cluster.rows
    return counts


def apportion(wanted: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Shares out a number in proportion to sizes, by largest remainder; ties go by name."""
    total = sum(sizes.values())
    exact = {name: wanted * size / total for name, size in sizes.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares
