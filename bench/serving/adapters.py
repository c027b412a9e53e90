"""16 requests at once over eight adapters of one base against the same over one adapter, none of them merged."""

from __future__ import annotations

from typing import Any

from serving.asking import Batch, at_once, stories
from serving.shared import Bench, rates

BAR = 0.8  # wanted


def measure(bench: Bench) -> dict[str, Any]:
    """Both ways' tokens a second; every adapter has been asked once before."""
    count, tokens, names = bench.options.requests, bench.options.tokens, bench.adapters

    def ask(models: tuple[str, ...], seed: int) -> Batch:
        return at_once(
            bench.url,
            [
                body | {"model": models[number % len(models)]}
                for number, body in enumerate(stories("", count, tokens, seed))
            ],
        )

    at_once(bench.url, [body | {"model": name} for name in names for body in stories("", 1, 4, 29)])
    found = bench.in_turn(
        one=lambda number: ask(names[:1], 30 + number), several=lambda number: ask(names, 40 + number)
    )
    ratio = found["several"].tokens_per_s / found["one"].tokens_per_s
    return {"speed_ratio": ratio, "adapters": len(names), **rates(found)}


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"adapters: {found['speed_ratio']:.2f} x (wanted: {BAR:g} x); over {found['adapters']} "
        f"{found['several']['tokens_per_s']:.0f} tokens/s, over one {found['one']['tokens_per_s']:.0f}"
    )
