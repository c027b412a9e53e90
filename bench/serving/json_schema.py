"""What decoding under a JSON schema costs a token, beside free text."""

from __future__ import annotations

from typing import Any

from serving.asking import at_once, stories
from serving.shared import Bench, rates

BAR = 0.10  # wanted, at most
# More rows than an answer has room for, so that no answer ends before the limit and both sides write equally much.
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "rows": {
            "type": "array",
            "minItems": 200,
            "items": {
                "type": "object",
                "properties": {"word": {"type": "string"}, "count": {"type": "integer"}, "used": {"type": "boolean"}},
                "required": ["word", "count", "used"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["title", "rows"],
    "additionalProperties": False,
}


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds a token of both; the schema is compiled before."""
    model, count, tokens = bench.options.base, bench.options.requests, bench.options.tokens
    wanted = {"type": "json_schema", "json_schema": {"name": "words", "strict": True, "schema": SCHEMA}}
    at_once(bench.url, stories(model, 1, 4, 59, response_format=wanted))
    found = bench.in_turn(
        free=lambda number: at_once(bench.url, stories(model, count, tokens, 60 + number)),
        schema=lambda number: at_once(bench.url, stories(model, count, tokens, 70 + number, response_format=wanted)),
    )
    overhead = found["free"].tokens_per_s / found["schema"].tokens_per_s - 1
    return {"overhead": overhead, **rates(found)}


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    return (
        f"json_schema: {found['overhead']:+.1%} a token (wanted: at most {BAR:.0%}); under the schema "
        f"{found['schema']['tokens_per_s']:.0f} tokens/s, free {found['free']['tokens_per_s']:.0f}"
    )
