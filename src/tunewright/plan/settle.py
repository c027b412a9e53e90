"""`auto` in how much of a step is computed at once, settled from free memory before anything is trained.

A result does not depend on it but in its rounding, so it is settled once, and in powers of two: a little more or less
memory another day mostly finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunewright.plan.predict import Forecast

if TYPE_CHECKING:
    from tunewright.recipe import Recipe

SMALLEST_BUDGET = 64
# Smaller pieces than this repeat so many ancestors that to compute blocks again is the better way to need less.
_FEW_NODES = 256
# What the account may be off by (bench/plan.py): it must fit even so.
MARGIN = 1.1


@dataclass(frozen=True, slots=True)
class Settled:
    """A recipe that leaves open no more how much is computed at once.

    Args:
        recipe: With a number as `train.node_budget`, and `none` or `layers` as `train.checkpointing`.
        reason: What had to give way, and why, in a sentence; empty where nothing had to.
    """

    recipe: Recipe
    reason: str = ""


def settle(forecast: Forecast) -> Settled:
    """Puts numbers in the place of `auto`: the largest pieces that fit, blocks computed again only where they must.

    Where nothing fits, what comes nearest; whether that is refused is the caller's to say.
    """
    recipe, free = forecast.recipe, forecast.device.memory_bytes
    if recipe.train.node_budget != "auto" and recipe.train.checkpointing != "auto":
        return Settled(recipe)
    tried: list[tuple[int, Recipe]] = []
    for budget, checkpointing in _candidates(forecast):
        train = recipe.train.model_copy(update={"node_budget": budget, "checkpointing": checkpointing})
        candidate = recipe.model_copy(update={"train": train})
        peak = forecast.memory(candidate, forecast.work(candidate).worst).total
        tried.append((peak, candidate))
        if peak * MARGIN <= free:
            break
    else:
        peak, candidate = min(tried, key=lambda each: each[0])
    first_peak, first = tried[0]
    if candidate is first:
        return Settled(candidate)
    again = ", with blocks computed again in the backward pass" if candidate.train.checkpointing == "layers" else ""
    return Settled(
        candidate,
        f"Pieces of {candidate.train.piece_nodes:,} nodes{again}, for about {peak / 1e9:.1f} GB: "
        f"{first.train.piece_nodes:,} would take {first_peak / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.",
    )


def _candidates(forecast: Forecast) -> Iterator[tuple[int, str]]:
    """Budgets and checkpointing to try, the quickest first."""
    train = forecast.recipe.train
    budgets = [train.piece_nodes]
    if train.node_budget == "auto":
        budgets = [forecast.device.largest_budget]
        while budgets[-1] // 2 >= SMALLEST_BUDGET:
            budgets.append(budgets[-1] // 2)
    if train.checkpointing != "auto":
        yield from ((budget, train.checkpointing) for budget in budgets)
        return
    yield from ((budget, "none") for budget in budgets if budget >= _FEW_NODES or len(budgets) == 1)
    yield from ((budget, "layers") for budget in budgets)
