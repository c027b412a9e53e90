"""Mixed load for half an hour, with clients that hang up at random: errors, and memory after warm-up."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from serving.asking import chat, words
from serving.json_schema import SCHEMA
from serving.shared import Bench, middle, tell

GROWTH_BAR = 0.02  # wanted, less
_CLIENTS = 8
_WARM_SHARE = 0.2  # of the time: until then caches fill
_WINDOW_SHARE = 0.1  # of the time: memory is a median over so long
_LOOK_EVERY_S = 1.0
_HANG_UP = 0.15  # of streams
_SHOWN_ERRORS = 5
_EMBEDDER = "all-minilm-l6-v2"


@dataclass
class Load:
    """What is under way, and what happened so far."""

    bench: Bench
    http: httpx.AsyncClient
    until: float
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """A reply; None where there was an error, which is counted. A busy server is asked again, as it asks for."""
        while True:
            response = await self.http.post(f"{self.bench.url}/{path}", json=body)
            if response.status_code != 429:
                break
            self.done["busy"] += 1
            await asyncio.sleep(float(response.headers["retry-after"]))
        if response.status_code != 200:
            self.errors.append(f"{path}: status {response.status_code}: {response.text[:200]}")
            return None
        reply: dict[str, Any] = response.json()
        return reply


def add_options(parser: Any) -> None:
    """The options of this work."""
    parser.add_argument("--soak-minutes", type=float, default=30.0, help="soak: how long; 30 by default.")


def measure(bench: Bench) -> dict[str, Any]:
    """Errors, requests by kind, and the server's memory after warm-up and at the end."""
    return asyncio.run(_soak(bench))


def text(found: dict[str, Any]) -> str:
    """The row for people."""
    kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(found["requests"].items()))
    shown = "".join(f"\n  {error}" for error in found["first_errors"])
    return (
        f"soak: {found['errors']} errors (wanted: 0), memory {found['memory_growth']:+.2%} after warm-up "
        f"(wanted: less than {GROWTH_BAR:.0%}) in {found['minutes']:g} minutes\n  {kinds}{shown}"
    )


async def _soak(bench: Bench) -> dict[str, Any]:
    seconds = bench.options.soak_minutes * 60
    started = time.monotonic()
    # Idle connections are closed here well before a server would do it: else a request may go out on one just as the
    # other side closes it, which is nobody's fault and would be counted as an error.
    limits = httpx.Limits(keepalive_expiry=1.0)
    async with httpx.AsyncClient(timeout=300.0, limits=limits, trust_env=False) as http:
        load = Load(bench, http, started + seconds)
        watch = asyncio.create_task(_watch(bench, load))
        await asyncio.gather(*(_client(load, random.Random(number)) for number in range(_CLIENTS)))
        samples = await watch
    warm = [held for at, held in samples if _WARM_SHARE <= (at - started) / seconds < _WARM_SHARE + _WINDOW_SHARE]
    last = [held for at, held in samples if (at - started) / seconds >= 1 - _WINDOW_SHARE]
    return {
        "errors": len(load.errors),
        "memory_growth": middle(last) / middle(warm) - 1,
        "minutes": bench.options.soak_minutes,
        "requests": dict(load.done),
        "warm_bytes": middle(warm),
        "end_bytes": middle(last),
        "largest_bytes": max(held for _, held in samples),
        "first_errors": load.errors[:_SHOWN_ERRORS],
    }


async def _watch(bench: Bench, load: Load) -> list[tuple[float, float]]:
    """The server's memory, every second, until the load ends."""
    samples: list[tuple[float, float]] = []
    told = time.monotonic()
    while time.monotonic() < load.until:
        samples.append((time.monotonic(), float(bench.server.resident_bytes())))
        if time.monotonic() - told > 60:
            told = time.monotonic()
            tell(f"soak: {samples[-1][1] / 1e6:,.0f} MB, {load.done.total():,} requests, {len(load.errors)} errors")
        await asyncio.sleep(_LOOK_EVERY_S)
    return samples


async def _client(load: Load, draw: random.Random) -> None:
    """One client: asks, waits, asks something else."""
    while time.monotonic() < load.until:
        name = draw.choice(tuple(_WAYS))
        try:
            await _WAYS[name](load, draw)
            load.done[name] += 1
        except httpx.HTTPError as error:  # a connection that breaks is the server's fault here: nobody else hangs up
            load.errors.append(f"{name}: {type(error).__name__}: {error}")
            await asyncio.sleep(1.0)  # a dead server is not asked a million times


async def _plain(load: Load, draw: random.Random) -> None:
    await load.post("chat/completions", _asked(load, draw))


async def _adapted(load: Load, draw: random.Random) -> None:
    await load.post("chat/completions", _asked(load, draw) | {"model": draw.choice(load.bench.adapters)})


async def _completion(load: Load, draw: random.Random) -> None:
    body = {"model": load.bench.options.base, "prompt": _text(draw), "max_tokens": draw.randint(1, 32), "logprobs": 1}
    await load.post("completions", body)


async def _embedding(load: Load, draw: random.Random) -> None:
    await load.post("embeddings", {"model": _EMBEDDER, "input": [_text(draw) for _ in range(draw.randint(1, 8))]})


async def _json(load: Load, draw: random.Random) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "words", "strict": True, "schema": SCHEMA}}
    await load.post("chat/completions", _asked(load, draw) | {"response_format": wanted})


async def _streamed(load: Load, draw: random.Random) -> None:
    """A stream that is read to its end, or hung up on after some pieces."""
    last = draw.randint(1, 8) if draw.random() < _HANG_UP else None
    url, body = f"{load.bench.url}/chat/completions", _asked(load, draw) | {"stream": True}
    async with load.http.stream("POST", url, json=body) as response:
        if response.status_code == 429:
            load.done["busy"] += 1
            return
        if response.status_code != 200:
            load.errors.append(f"stream: status {response.status_code}")
            return
        pieces, ended = 0, False
        async with contextlib.aclosing(response.aiter_lines()) as lines:
            async for line in lines:
                pieces += line.startswith("data:")
                ended = ended or line.startswith("data: [DONE]")
                if '"error"' in line:
                    load.errors.append(f"stream: {line[:200]}")
                if last is not None and pieces >= last:
                    load.done["hang-ups"] += 1
                    return
        if not ended:
            load.errors.append("stream: it ended without [DONE]")


def _asked(load: Load, draw: random.Random) -> dict[str, Any]:
    return chat(load.bench.options.base, _text(draw), draw.randint(1, 48)) | {"temperature": draw.choice([0, 0.7, 1])}


def _text(draw: random.Random) -> str:
    return words(draw.choice([5, 20, 60, 200]), draw.randrange(10_000))


_WAYS: dict[str, Callable[[Load, random.Random], Awaitable[None]]] = {
    "chats": _plain,
    "streams": _streamed,
    "adapters": _adapted,
    "completions": _completion,
    "embeddings": _embedding,
    "schemas": _json,
}
