"""Requests over HTTP: one after the other, all at once, and the first token of a stream."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

# Ordinary words: a token or two each in most vocabularies.
_WORDS = (
    *("river", "stone", "winter", "garden", "letter", "window", "morning", "paper", "engine", "market", "bridge"),
    *("silver", "forest", "summer", "kitchen", "island", "yellow", "mountain", "doctor", "village", "music"),
    *("table", "ocean", "travel", "copper", "evening", "shadow", "harbour", "orange", "school", "planet", "bottle"),
)


class Unanswered(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """A server refused a request of the bench, or broke off."""


@dataclass(frozen=True)
class Batch:
    """What some requests took together.

    Args:
        tokens: Tokens that were answered.
        seconds: From the first request to the last answer.
    """

    tokens: int
    seconds: float

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.tokens + other.tokens, self.seconds + other.seconds)


NOTHING = Batch(0, 0.0)


def words(count: int, seed: int) -> str:
    """So many words, drawn."""
    return " ".join(random.Random(seed).choices(_WORDS, k=count))


def chat(model: str, text: str, tokens: int, **more: Any) -> dict[str, Any]:
    """A greedy chat request's body."""
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0, **more}


def stories(model: str, count: int, tokens: int, seed: int, **more: Any) -> list[dict[str, Any]]:
    """Requests whose answers are long, and whose prompts differ from the first word on: no cache knows them."""
    return [chat(model, _story(seed * 1000 + number), tokens, **more) for number in range(count)]


def _story(seed: int) -> str:
    return f"{words(4, seed)}: tell a very long story with these words, in detail."


def at_once(url: str, bodies: Sequence[dict[str, Any]]) -> Batch:
    """All requests under way together."""
    return asyncio.run(_together(url, bodies))


def one_by_one(url: str, bodies: Sequence[dict[str, Any]]) -> Batch:
    """Each request after the last one's answer."""
    tokens = 0
    started = time.perf_counter()
    with httpx.Client(timeout=600.0, trust_env=False) as http:
        for body in bodies:
            tokens += _tokens(http.post(f"{url}/chat/completions", json=body))
    return Batch(tokens, time.perf_counter() - started)


def first_token_s(url: str, body: dict[str, Any]) -> float:
    """Seconds from the request to the first piece of its answer's text."""
    started = time.perf_counter()
    with (
        httpx.Client(timeout=600.0, trust_env=False) as http,
        http.stream("POST", f"{url}/chat/completions", json={**body, "stream": True}) as response,
    ):
        for line in response.iter_lines():
            if response.status_code != 200 or not line.startswith("data:"):
                continue
            said = line.removeprefix("data:").strip()
            choices = [] if said == "[DONE]" else json.loads(said).get("choices") or []
            if any((choice.get("delta") or {}).get("content") for choice in choices):
                return time.perf_counter() - started
        raise Unanswered(f"status {response.status_code}, and no text in the stream")


async def _together(url: str, bodies: Sequence[dict[str, Any]]) -> Batch:
    limits = httpx.Limits(max_connections=len(bodies))
    async with httpx.AsyncClient(timeout=600.0, limits=limits, trust_env=False) as http:
        started = time.perf_counter()
        replies = await asyncio.gather(*(http.post(f"{url}/chat/completions", json=body) for body in bodies))
        return Batch(sum(map(_tokens, replies)), time.perf_counter() - started)


def _tokens(response: httpx.Response) -> int:
    if response.status_code != 200:
        raise Unanswered(f"status {response.status_code}: {response.text[:300]}")
    count: int = response.json()["usage"]["completion_tokens"]
    return count
