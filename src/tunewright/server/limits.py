"""How often a key may ask, and for how many tokens: two buckets for each key that fill up again as time passes.

They are in this process's memory: several servers on one database each count for themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tunewright.server.errors import ApiError

# Buckets that are full say nothing; beyond so many they are thrown away.
_MOST_BUCKETS = 10_000


@dataclass
class Bucket:
    """What is left of an allowance.

    Args:
        size: What it holds when full: a minute's allowance.
        level: What is in it at `at`; below 0 where more was used than was left.
        at: Of the clock, in seconds.
    """

    size: int
    level: float
    at: float

    def fill(self, now: float) -> None:
        """Adds what has come in since the last look."""
        self.level = min(self.size, self.level + max(0.0, now - self.at) * self.size / 60)
        self.at = now

    def wait_s(self, wanted: float) -> float:
        """Seconds until so much is in it."""
        return max(0.0, (wanted - self.level) * 60 / self.size)


class Limits:
    """The allowances of all keys.

    Args:
        requests: A minute's requests; None: as many as come.
        tokens: A minute's tokens, read and written; None: as many as come. What an answer takes is known at its end,
            so a key may go below nothing once, and waits the longer for it.
        clock: In seconds; never goes back.
    """

    def __init__(
        self, requests: int | None = None, tokens: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sizes = {kind: size for kind, size in (("requests", requests), ("tokens", tokens)) if size is not None}
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._guard = threading.Lock()

    def take_request(self, key: str) -> None:
        """Counts a request.

        Raises:
            ApiError: 429, where the key has none left this minute.
        """
        with self._guard:
            bucket = self._bucket("requests", key)
            if bucket is None:
                return
            if bucket.level >= 1:
                bucket.level -= 1
                return
        raise self._refusal("requests", key, bucket.wait_s(1))

    def check_tokens(self, key: str) -> None:
        """Sees to it that a key has tokens left.

        Raises:
            ApiError: 429, where it has none.
        """
        with self._guard:
            bucket = self._bucket("tokens", key)
            if bucket is None or bucket.level >= 1:
                return
        raise self._refusal("tokens", key, bucket.wait_s(1))

    def charge(self, key: str, tokens: int) -> None:
        """Takes what an answer has used."""
        with self._guard:
            bucket = self._bucket("tokens", key)
            if bucket is not None:
                bucket.level -= tokens

    def headers(self, key: str) -> dict[str, str]:
        """What OpenAI's API says of them with each answer; nothing of what is not limited."""
        said = {}
        with self._guard:
            for kind in self._sizes:
                bucket = self._bucket(kind, key)
                if bucket is not None:
                    said[f"x-ratelimit-limit-{kind}"] = str(bucket.size)
                    said[f"x-ratelimit-remaining-{kind}"] = str(max(0, int(bucket.level)))
                    said[f"x-ratelimit-reset-{kind}"] = duration(bucket.wait_s(bucket.size))
        return said

    def _bucket(self, kind: str, key: str) -> Bucket | None:
        size = self._sizes.get(kind)
        if size is None:
            return None
        now = self._clock()
        if len(self._buckets) >= _MOST_BUCKETS and (kind, key) not in self._buckets:
            self._forget_full(now)
        bucket = self._buckets.setdefault((kind, key), Bucket(size, size, now))
        bucket.fill(now)
        return bucket

    def _forget_full(self, now: float) -> None:
        for bucket in self._buckets.values():
            bucket.fill(now)
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket.level < bucket.size}

    def _refusal(self, kind: str, key: str, wait_s: float) -> ApiError:
        whole_s = max(1, -int(-wait_s // 1))
        return ApiError(
            429,
            f"Rate limit reached: {self._sizes[kind]:,} {kind} a minute for this key. Please try again in"
            f" {duration(wait_s)}.",
            code="rate_limit_exceeded",
            headers={"Retry-After": str(whole_s), **self.headers(key)},
        )


def duration(seconds: float) -> str:
    """A time as OpenAI's headers write it: "0s", "120ms", "1.5s", "6m0s"."""
    if seconds <= 0:
        return "0s"
    milliseconds = -int(-seconds * 1000 // 1)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text
