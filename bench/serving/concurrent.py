"""16 requests at once against the same number one after the other."""

from __future__ import annotations

from typing import Any

from serving.asking import at_once, one_by_one, stories
from serving.shared import Bench, rates

BAR = 4.0  # wanted


def measure(bench: Bench) -> dict[str, Any]:
    """Both ways' tokens a second; prompts of equal length that no round has seen before."""
    model, count, tokens = bench.options.base, bench.options.requests, bench.options.tokens
    found = bench.in_turn(
        one_by_one=lambda number: one_by_one(bench.url, stories(model, count, tokens, 10 + number)),
        at_once=lambda number: at_once(bench.url, stories(model, count, tokens, 20 + number)),
    )
    return {"speed_ratio": found["at_once"].tokens_per_s / found["one_by_one"].tokens_per_s, **rates(found)}


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"concurrent: {found['speed_ratio']:.1f} x (wanted: {BAR:g} x); at once {found['at_once']['tokens_per_s']:.0f} "
        f"tokens/s, one by one {found['one_by_one']['tokens_per_s']:.0f}"
    )
