"""What a thousand answers cost: tokens read and written at their prices, or seconds at the price of an hour.

Systems whose answers carry neither tokens nor time have no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Floats, Measure
from tunewright.metrics._numbers import read_numbers

NEEDS_REFERENCE = False
ABOUT = {
    "cost_per_1000": About(
        "Cost of 1,000 answers",
        "at the prices that the recipe states; less is better",
        best=None,
        is_share=False,
        less_is_better=True,
    )
}

_HINT = "Give it for every answer, or for none."


class Config(PluginConfig):
    """Settings of the cost."""

    name: Literal["cost"] = "cost"
    read_price: float = Field(0.0, ge=0, description="Price of a million tokens read.")
    written_price: float = Field(0.0, ge=0, description="Price of a million tokens written.")
    hour_price: float = Field(0.0, ge=0, description="Price of an hour of the machine, where that is what is paid.")
    currency: str = Field("USD", description="What prices are in.")

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if not (self.read_price or self.written_price or self.hour_price):
            raise ValueError("cost needs a price: set read_price and written_price, or hour_price")
        return self


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The cost of a thousand answers such as each; reduced to the mean.

    Raises:
        InputError: If only some answers have the tokens or the time that a price is for, or one is no number.
    """
    prices = {
        "read": config.read_price / 1e6,
        "written": config.written_price / 1e6,
        "seconds": config.hour_price / 3600,
    }
    costs: Floats = np.zeros(len(answers))
    for unit, price in prices.items():
        if price:
            counted = read_numbers(
                config.name, answers, partial(_read, unit=unit), what=f"a number of {_UNITS[unit]}", hint=_HINT
            )
            if counted is None:
                return []
            costs += counted * price
    return [Measure("cost_per_1000", costs * 1000, note=config.currency)]


_UNITS = {"read": "tokens read", "written": "tokens written", "seconds": "seconds"}


def _read(answer: Answer, *, unit: str) -> float | None:
    value: float | None = getattr(answer, unit)
    return value
