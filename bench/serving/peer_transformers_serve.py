"""16 requests at once against `transformers serve` at its best."""

from __future__ import annotations

import re
from typing import Any

from speed.processes import ProcessFailed

from serving.asking import Unanswered, at_once, stories
from serving.servers import peers
from serving.shared import Bench, rates, tell

BAR = 2.0  # wanted
# Its ways to run: each gives short answers, and the fastest of them long ones.
WAYS: dict[str, tuple[str, ...]] = {
    "plain, float32": ("--dtype", "float32"),
    "plain, bfloat16": ("--dtype", "bfloat16"),
    "continuous batching, float32": ("--continuous-batching", "--dtype", "float32"),
    "continuous batching, bfloat16": ("--continuous-batching", "--dtype", "bfloat16"),
}
_PROBED_TOKENS = 16


def measure(bench: Bench) -> dict[str, Any]:
    """Both sides' tokens a second over the same prompts."""
    probes: dict[str, float | str] = {}
    for way in WAYS:
        tell(f"peer, {way}")
        try:
            with _peer(bench, way) as server:
                probes[way] = at_once(
                    server.url, _asked(bench, str(bench.base_folder), 49, _PROBED_TOKENS)
                ).tokens_per_s
        except (ProcessFailed, Unanswered) as error:
            probes[way] = re.sub(r"\s+", " ", str(error))[-300:]  # a way that does not work here is no way, and said
    working = {way: rate for way, rate in probes.items() if isinstance(rate, float)}
    if not working:
        raise ProcessFailed(f"no way of the peer works here: {probes}")
    best = max(working, key=lambda way: working[way])
    tokens = bench.options.tokens
    with _peer(bench, best) as server:
        found = bench.in_turn(
            peer=lambda number: at_once(server.url, _asked(bench, str(bench.base_folder), 50 + number, tokens)),
            ours=lambda number: at_once(bench.url, _asked(bench, bench.options.base, 50 + number, tokens)),
        )
    ratio = found["ours"].tokens_per_s / found["peer"].tokens_per_s
    return {"speed_ratio": ratio, "best_way": best, "probes": probes, **rates(found)}


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"peer_transformers_serve: {found['speed_ratio']:.1f} x (wanted: {BAR:g} x); ours "
        f"{found['ours']['tokens_per_s']:.0f} tokens/s, peer ({found['best_way']}) {found['peer']['tokens_per_s']:.0f}"
    )


def _asked(bench: Bench, model: str, seed: int, tokens: int) -> list[dict[str, Any]]:
    return stories(model, bench.options.requests, tokens, seed)


def _peer(bench: Bench, way: str) -> Any:
    return peers(bench.folder, bench.peer, bench.base_folder, bench.environment, *WAYS[way])
