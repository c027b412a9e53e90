"""Relevance: how much the rows have to do with what the recipe says the model is for."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.data.meaning.looking import MeaningConfig, find_embedder, look
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Inspection, NotRun, graded
from tunewright.data.quality.view import View

_BINS = (-1.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)


class Config(MeaningConfig):
    """Settings of `relevance`."""

    name: Literal["relevance"] = "relevance"
    least: float = Field(
        0.05, ge=-1, le=1, description="A row whose cosine with the goal is lower has hardly to do with it."
    )
    look: float = Field(0.25, ge=0, le=1, description="From this share of such rows on a person should look.")
    act: float = Field(0.6, ge=0, le=1, description="From this share on, goal and data are about different things.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """The cosine of what each row asks with the goal."""
    if not view.goal:
        return None
    embedder = find_embedder(view, config)
    if isinstance(embedder, NotRun):
        return embedder
    seen = look(view, view.data, config, embedder)
    if not len(seen):
        return None
    cosine = seen.vectors @ embedder.embed([view.goal])[0]
    far = cosine < config.least
    share = float(far.mean())
    order = np.argsort(cosine, kind="stable")[:WORST].tolist()
    counts, _ = np.histogram(cosine, bins=_BINS)
    names = ["below 0.0", *(f"{low:.1f} to {high:.1f}" for low, high in pairwise(_BINS[1:-1]))]
    return Inspection(
        title="Relevance",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{int(far.sum()):,} of {len(seen):,} rows have hardly to do with the goal (cosine below "
        f"{config.least}); the median is {float(np.median(cosine)):.2f}.",
        meaning="Rows on other subjects cost time, and teach what the model is not for. The goal is one sentence: if "
        "it is vague, all rows are far from it.",
        advice="Look at the rows below: take out what does not belong, or say the goal more precisely."
        if share >= config.look
        else "",
        numbers={
            "rows": int(far.sum()),
            "share": share,
            "median": float(np.median(cosine)),
            "least": config.least,
            "encoder": embedder.name,
        },
        worst=tuple(seen.rows.case(int(seen.index[row]), f"cosine {cosine[row]:.2f} with the goal") for row in order),
        charts=(Bars("Cosine with the goal", tuple(zip([*names, "above 0.5"], map(float, counts), strict=True))),),
        sampled=seen.sampled,
    )
