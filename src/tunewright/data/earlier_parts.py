"""Rows that keep the part they have in an earlier dataset, so that what was held out stays held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tunewright.data.dataset import Shelf
from tunewright.data.split import HOMES


@dataclass(frozen=True, slots=True)
class EarlierParts:
    """Which part each row of a dataset is in.

    Args:
        dataset: The dataset's hash.
        ids: Its rows' ids, sorted, shape (n,).
        homes: The part of each, as its place in `HOMES`, shape (n,).
    """

    dataset: str
    ids: npt.NDArray[np.bytes_]
    homes: npt.NDArray[np.int8]

    def of(self, ids: npt.NDArray[np.bytes_], keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int8]:
        """The part each row belongs to now, as its place in `HOMES`, shape (n,).

        Rows with one key stay together: where the earlier dataset has them on several sides, on the one held out
        furthest (test, then validation). Rows that it does not have are learned from, unless their key is held out.

        Args:
            ids: The rows' ids, shape (n,).
            keys: What their clusters are called, shape (n,).
        """
        place = np.minimum(np.searchsorted(self.ids, ids), max(0, len(self.ids) - 1))
        found = np.zeros(len(ids), dtype=np.int8)
        if len(self.ids):
            known = self.ids[place] == ids
            found[known] = self.homes[place[known]]
        names, cluster = np.unique(keys, return_inverse=True)
        home = np.zeros(len(names), dtype=np.int8)
        np.maximum.at(home, cluster, found)
        parts: npt.NDArray[np.int8] = home[cluster]
        return parts


def earlier_parts(hash_or_prefix: str, shelf: Shelf) -> EarlierParts | None:
    """The parts of a stored dataset; None where the recipe names none.

    Raises:
        WorkspaceError: If the workspace has no such dataset.
    """
    if not hash_or_prefix:
        return None
    stored = shelf.artifact(hash_or_prefix, "dataset")
    tables = [pl.read_parquet(stored.path / f"{part}.parquet", columns=["id"])["id"] for part in HOMES]
    ids = np.concatenate([table.to_numpy().astype(np.bytes_) for table in tables])
    homes = np.repeat(np.arange(len(HOMES), dtype=np.int8), [len(table) for table in tables])
    order = np.argsort(ids, kind="stable")
    return EarlierParts(stored.hash, ids[order], homes[order])
