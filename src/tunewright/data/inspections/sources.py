"""Sources: how reliable each file is, by the share of its records that are refused, copied, contradictory or empty."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.frame import SOURCE
from tunewright.data.quality.inspection import SHARE, Bars, Inspection, counted, graded, shown
from tunewright.data.quality.view import View

_SHOWN_SOURCES = 20
KINDS = ("refused", "copies", "contradictory", "too_short")


class Config(PluginConfig):
    """Settings of `sources`."""

    name: Literal["sources"] = "sources"
    words: int = Field(2, ge=1, description="A question with fewer words than this is too short.")
    look: float = Field(0.05, ge=0, le=1, description="From this share of troubled records in a source on, look.")
    act: float = Field(0.25, ge=0, le=1, description="From this share on, mend the source or leave it out.")


def inspect(view: View, config: Config) -> Inspection:
    """Of each file: the share of records with any of the four troubles. A copy counts where it is not the first."""
    data = view.data
    contradictory = np.zeros(len(data), dtype=bool)
    contradictory[[row for rows in view.contradictions for row in rows]] = True
    short = np.fromiter((len(text.split()) < config.words for text in data.prompts), bool, len(data))
    marks = pl.DataFrame(
        {
            "source": data.frame[SOURCE],
            "refused": np.zeros(len(data), dtype=bool),
            "copies": view.records.copies,
            "contradictory": contradictory,
            "too_short": short,
        }
    )
    gone = data.refused.select(
        "source", pl.lit(True).alias("refused"), *(pl.lit(False).alias(name) for name in KINDS[1:])
    )
    table = (
        pl.concat([marks, gone])
        .group_by("source", maintain_order=True)
        .agg(
            pl.len().alias("rows"),
            *(pl.col(name).sum() for name in KINDS),
            pl.any_horizontal(*KINDS).mean().alias("troubled_share"),
        )
        .sort("troubled_share", descending=True, maintain_order=True)
    )
    each: dict[str, dict[str, Any]] = {row.pop("source"): row for row in table.to_dicts()}
    worst, first = next(iter(each.items()))
    share = first["troubled_share"]
    several = len(each) > 1
    return Inspection(
        title="Sources",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=(f"{counted(len(each), 'file')}; the least reliable, {worst}, has" if several else f"{worst} has")
        + f" {shown(share, SHARE)} troubled records: "
        + ", ".join(f"{first[name]:,} {name.replace('_', ' ')}" for name in KINDS)
        + ".",
        meaning="A source with many broken, copied or contradictory records deserves less trust in the others, too.",
        advice=f"Look into how {worst} was made, clean it, or leave it out." if share >= config.look else "",
        numbers={"files": each},
        charts=(
            (
                Bars(
                    "Troubled records",
                    tuple((name, row["troubled_share"]) for name, row in each.items())[:_SHOWN_SOURCES],
                    SHARE,
                ),
            )
            if several
            else (Bars("Troubled records", tuple((name.replace("_", " "), float(first[name])) for name in KINDS)),)
        ),
    )
