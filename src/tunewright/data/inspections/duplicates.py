"""Copies: rows whose prompts are the same after reduction to words, and near copies beside them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.near import NEAR
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, counted, graded
from tunewright.data.quality.view import View


class Config(PluginConfig):
    """Settings of `duplicates`."""

    name: Literal["duplicates"] = "duplicates"
    look: float = Field(0.005, ge=0, le=1, description="From this share of copies on a person should look.")
    act: float = Field(0.05, ge=0, le=1, description="From this share of copies on they should go.")


def inspect(view: View, config: Config) -> Inspection:
    """Counts the rows that copy an earlier one; of near copies the longest is the original."""
    texts = view.records
    near = texts.near
    exact = int(texts.rows.sum()) - len(texts.distinct)
    gone = near.kept_by >= 0
    near_rows = int(texts.rows[gone].sum())
    share = (exact + near_rows) / len(view.data)
    groups = [rows for rows in texts.rows_of() if len(rows) > 1]
    sizes = np.bincount([min(len(rows), 6) for rows in groups], minlength=7)[2:] if groups else np.zeros(0, np.int64)
    labels = ("twice", "3 times", "4 times", "5 times", "6 times or more")
    return Inspection(
        title="Copies",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{counted(exact, 'row')} repeat an earlier one word for word, and {near_rows:,} do so nearly.",
        meaning="Each copy is learned once more than the others, and a copy on both sides of a split makes a score "
        "look better than it is.",
        advice="Add the steps exact_duplicates and near_duplicates to data.steps." if exact + near_rows else "",
        numbers={
            "exact": {"rows": exact, "texts": len(groups), "share": exact / len(view.data)},
            "near": {
                "rows": near_rows,
                "clusters": len(set(near.kept_by[gone].tolist())),
                "share": near_rows / len(view.data),
                "threshold": NEAR,
                "not_all_compared": near.crowded,
            },
        },
        worst=_worst(view, groups),
        charts=(Bars("Texts that stand there more than once", _bars(labels, sizes), "texts"),) if groups else (),
    )


def _bars(labels: tuple[str, ...], sizes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[tuple[str, float], ...]:
    return tuple((label, float(size)) for label, size in zip(labels, sizes.tolist(), strict=True))


def _worst(view: View, groups: list[list[int]]) -> tuple[Case, ...]:
    """The texts with the most rows, then the nearest of the near copies."""
    data, texts = view.data, view.records
    largest = sorted(groups, key=len, reverse=True)
    exact = [data.case(rows[0], f"{len(rows):,} times, also at {data.places[rows[1]]}") for rows in largest[:WORST]]
    gone = np.flatnonzero(texts.near.kept_by >= 0)
    near: list[Case] = []
    for text in gone[np.argsort(-texts.near.similarity[gone], kind="stable")][:WORST].tolist():
        kept = int(texts.first[texts.near.kept_by[text]])
        why = f"near copy of {data.places[kept]}, similarity {texts.near.similarity[text]:.2f}: {data.prompts[kept]}"
        near.append(data.case(int(texts.first[text]), why))
    return (*exact[: max(WORST // 2, WORST - len(near))], *near)[:WORST]
