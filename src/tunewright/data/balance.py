"""How often an epoch sees each training row, and how much it weighs: by class, and by source.

Nothing is copied and nothing is left out for good: rows are repeated or passed over in the order in which training
sees them. Where an epoch sees a share of a group, the next one goes on behind it, so that over the epochs every row of
a group is seen as often as any other, or once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.base.errors import DataError
from tunewright.base.files import hash_value
from tunewright.base.seeds import derive
from tunewright.data.answers import strata
from tunewright.data.dataset import Dataset
from tunewright.data.fitting import PIECE
from tunewright.recipe.balance import Balance as BalanceSettings
from tunewright.recipe.schema import Data

Counts = Mapping[str, int]
# A group of rows: the number of their source in the recipe, and their class.
Group = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Draws:
    """Rows in groups, of which each epoch sees a fixed number of rows.

    Args:
        members: The rows of each group.
        drawn: How many rows of each an epoch sees; more than there are means some of them again.
    """

    members: tuple[NDArray[np.int64], ...]
    drawn: tuple[int, ...]

    @property
    def total(self) -> int:
        """Rows that an epoch sees."""
        return sum(self.drawn)

    def epoch(self, number: int, seed: int) -> NDArray[np.int64]:
        """The rows of an epoch, counted from 0, group by group; shape (total,)."""
        return _epoch(self, number, seed)

    def only(self, kept: Sequence[int]) -> Draws:
        """The same for some of the rows, numbered anew in their order; a group that loses all of them is gone."""
        place = np.full(1 + max((int(rows.max()) for rows in self.members), default=0), -1, dtype=np.int64)
        place[np.asarray(kept, dtype=np.int64)] = np.arange(len(kept))
        found = [(place[rows][place[rows] >= 0], drawn) for rows, drawn in zip(self.members, self.drawn, strict=True)]
        left = [(rows, drawn) for rows, drawn in found if len(rows)]
        return Draws(tuple(rows for rows, _ in left), tuple(drawn for _, drawn in left))


@lru_cache(maxsize=2)
def _epoch(draws: Draws, number: int, seed: int) -> NDArray[np.int64]:
    parts = [np.empty(0, dtype=np.int64)]
    for group, (rows, drawn) in enumerate(zip(draws.members, draws.drawn, strict=True)):
        first, size = number * drawn, len(rows)
        for lap in range(first // size, (first + drawn - 1) // size + 1):
            order = np.random.default_rng(derive(seed, "balance", group, lap)).permutation(size)
            inside = slice(max(0, first - lap * size), min(size, first + drawn - lap * size))
            parts.append(rows[order[inside]])
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Balance:
    """What a recipe's `data.balance`, `data.mix` and its sources' weights come to.

    Args:
        draws: Which rows an epoch sees; None: each row once.
        row_weights: How much each row's answer weighs, shape (n,), 1 on average over an epoch; None: 1.
        class_weights: The same by class of a single word, shape (C,); None: 1.
        told: What a person should hear of it.
        key: Names all that it depends on beside the rows.
    """

    draws: Draws | None
    row_weights: NDArray[np.float32] | None
    class_weights: NDArray[np.float32] | None
    told: tuple[str, ...]
    key: str

    def weigh(self, weights: NDArray[np.float32], row: int, targets: NDArray[np.int32] | None) -> NDArray[np.float32]:
        """The weights of a row's tokens, (T,), as its class has them; `targets` are the tokens' classes, if any."""
        if self.row_weights is not None:
            weights = weights * self.row_weights[row]
        elif self.class_weights is not None and targets is not None:
            weights = weights * self.class_weights[targets]
        return weights


def balance_of(dataset: Dataset, data: Data, ids: Sequence[str], classes: Sequence[str]) -> Balance | None:
    """How often each row of a table is seen, and how much it weighs; None where the recipe asks for nothing.

    Args:
        dataset: The prepared rows.
        data: What the recipe says of them.
        ids: The table's rows, in order; a piece of a split row has `#` and a number behind its id.
        classes: What the rows are told apart by, where they are.

    Raises:
        DataError: If there are no classes to balance by, or a file belongs to two sources that are weighed.
    """
    asked = data.balance
    if not asked.is_set and not data.weighs_sources:
        return None
    # Of tagged rows a single word has a class.
    words = dataset.answer_kind == "tags" and bool(classes)
    by_row = asked.sampling != "none" or (asked.class_weights != "none" and not words)
    names, members = _groups(_rows(dataset, ids, by_class=by_row, by_source=data.weighs_sources))
    counts = {name: len(places) for name, places in zip(names, members, strict=True)}
    drawn = drawn_rows(counts, asked, data)
    total = sum(drawn.values())
    told = [_told(counts, drawn)] if drawn != counts else []
    row_weights = class_weights = None
    if asked.class_weights != "none" and words:
        of_class = balanced_weights(dataset.manifest["label_counts"]["train"])
        class_weights = np.array([of_class.get(name, 1.0) for name in classes], dtype=np.float32)
        told.append(_told_weights(of_class))
    elif asked.class_weights != "none":
        of_class = balanced_weights(_by_class(drawn))
        row_weights = np.ones(len(ids), dtype=np.float32)
        for (_, label), places in zip(names, members, strict=True):
            row_weights[places] = of_class[label]
        told.append(_told_weights(of_class))
    draws = Draws(tuple(members), tuple(drawn[name] for name in names)) if drawn != counts else None
    key = hash_value([sorted((*name, rows) for name, rows in drawn.items()), total, asked.model_dump(mode="json")])
    return Balance(draws, row_weights, class_weights, tuple(told), key)


def drawn_rows(counts: Mapping[Group, int], asked: BalanceSettings, data: Data) -> dict[Group, int]:
    """How many rows of each group an epoch sees; at least one of each.

    First each source gets its share, then, within what that gives, each class.
    """
    per_row = _source_factors(counts, data)
    seen: dict[str, float] = {}
    for (source, label), rows in counts.items():
        seen[label] = seen.get(label, 0.0) + per_row[source] * rows
    wanted = class_targets(seen, asked)
    return {
        (source, label): max(1, round(per_row[source] * rows * wanted[label] / seen[label]))
        for (source, label), rows in counts.items()
    }


def _source_factors(counts: Mapping[Group, int], data: Data) -> dict[int, float]:
    """How often an epoch sees each row of a source (Conneau et al. 2020, arXiv:1911.02116, section 3.1).

    The sources together keep the size that their weights alone would give.
    """
    weighed: dict[int, float] = {}
    for (source, _), rows in counts.items():
        weighed[source] = weighed.get(source, 0.0) + rows * data.train[source].weight
    power = {source: rows ** (1.0 / data.mix.temperature) for source, rows in weighed.items()}
    scale = sum(weighed.values()) / sum(power.values())
    return {source: data.train[source].weight * scale * power[source] / rows for source, rows in weighed.items()}


def class_targets(seen: Mapping[str, float], asked: BalanceSettings) -> dict[str, float]:
    """Rows of each class in an epoch, of those that there are without sampling."""
    if asked.sampling == "none":
        return dict(seen)
    over = asked.sampling == "over"
    pivot = max(seen.values()) if over else min(seen.values())
    if asked.temperature is not None:
        return {name: pivot * (rows / pivot) ** (1.0 / asked.temperature) for name, rows in seen.items()}
    ratio = asked.ratio or 1.0
    if over:
        return {name: max(rows, ratio * pivot) for name, rows in seen.items()}
    return {name: min(rows, pivot / ratio) for name, rows in seen.items()}


def balanced_weights(counts: Counts) -> dict[str, float]:
    """rows / (classes * rows of the class), as scikit-learn's `class_weight="balanced"` (King and Zeng 2001)."""
    total = sum(counts.values())
    return {name: total / (len(counts) * rows) for name, rows in counts.items() if rows}


def _rows(dataset: Dataset, ids: Sequence[str], *, by_class: bool, by_source: bool) -> pl.DataFrame:
    """`source` and `class` of each row of a table; 0 and an empty text where they do not matter."""
    table = pl.read_parquet(dataset.path / "train.parquet", columns=["id", "source", "answer"])
    source: pl.Expr = pl.lit(0)
    if by_source:
        source = pl.col("source").replace_strict(_source_numbers(dataset.manifest["sources"]))
    codes, names = strata([table["answer"]] if by_class else [], dataset.answer_kind)
    if by_class and len(names) < 2:
        raise DataError(
            f"The answers are of the kind '{dataset.answer_kind}', and so rows have no class to be balanced by",
            where="data.balance",
            hint="Take it out, or have rows with a label. Sources are weighed by data.train[].weight and data.mix.",
        )
    classes = pl.Series("class", names, dtype=pl.String).gather(codes) if by_class else pl.lit("").alias("class")
    known = table.select("id", source.cast(pl.Int64).alias("source"), classes)
    asked = pl.DataFrame({"id": list(ids)}, schema={"id": pl.String})
    return asked.with_columns(pl.col("id").str.extract(f"^([^{PIECE}]*)")).join(
        known, on="id", how="left", maintain_order="left"
    )


def _source_numbers(files: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The number of the source under `data.train` that each file belongs to."""
    for file in files:
        if file["part"] == "train" and len(file["of"]) > 1:
            raise DataError(
                f"The file {file['path']} belongs to several sources, and these are to be seen unequally often",
                where="data.train",
                hint="Name it once, or take the sources' weights and data.mix out.",
            )
    return {file["path"]: file["of"][0] for file in files if file["part"] == "train"}


def _groups(rows: pl.DataFrame) -> tuple[list[Group], list[NDArray[np.int64]]]:
    """The groups, by source and class, and the rows of each."""
    grouped = rows.with_row_index("row").group_by("source", "class").agg(pl.col("row").cast(pl.Int64))
    ordered = grouped.sort("source", "class")
    names = list(zip(ordered["source"], ordered["class"], strict=True))
    return names, [np.sort(places.to_numpy()) for places in ordered["row"]]


def _by_class(counts: Mapping[Group, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, label), rows in counts.items():
        found[label] = found.get(label, 0) + rows
    return found


def _told(counts: Mapping[Group, int], drawn: Mapping[Group, int]) -> str:
    often = [drawn[group] / rows for group, rows in counts.items()]
    return (
        f"An epoch sees {sum(drawn.values()):,} rows, of {sum(counts.values()):,} there are: "
        f"rows of a group {min(often):.3g} to {max(often):.3g} times each."
    )


def _told_weights(weights: Mapping[str, float]) -> str:
    least, most = min(weights, key=weights.__getitem__), max(weights, key=weights.__getitem__)
    return (
        f"Answers weigh by class: from {weights[least]:.3g} ('{least}', the most frequent) to {weights[most]:.3g} "
        f"('{most}', the rarest)."
    )
