"""Time to the first token behind a prefix of a thousand tokens: seen before, and not."""

from __future__ import annotations

from typing import Any

from serving.asking import chat, first_token_s, words
from serving.shared import Bench, middle, tell

BAR = 0.2  # wanted, at most
_PREFIXES = 5
_WORDS = 1000  # of one token each, with the space in front


def measure(bench: Bench) -> dict[str, Any]:
    """The medians of both, over several prefixes; the question behind a prefix is another each time."""
    cold, seen = [], []
    for number in range(_PREFIXES):
        tell(f"prefix {number + 1} of {_PREFIXES}")
        prefix = words(_WORDS, 100 + number)
        cold.append(first_token_s(bench.url, chat(bench.options.base, f"{prefix}\nWhich word comes first?", 4)))
        seen.append(first_token_s(bench.url, chat(bench.options.base, f"{prefix}\nHow many words are there?", 4)))
    return {
        "ttft_ratio": middle(seen) / middle(cold),
        "cold_s": middle(cold),
        "seen_s": middle(seen),
        "every_cold_s": cold,
        "every_seen_s": seen,
    }


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"prefix: {found['ttft_ratio']:.3f} (wanted: at most {BAR:g}); first token after "
        f"{found['seen_s'] * 1000:.0f} ms where the prefix was seen, {found['cold_s'] * 1000:.0f} ms where not"
    )
