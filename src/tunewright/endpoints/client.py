"""The client: cached, patient within bounds, several requests at a time, with a budget that it keeps to.

Whatever was answered is on disk before it is used, so a program that is interrupted, or whose endpoint dies, goes on
where it was by asking the same again.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tunewright.base.errors import EndpointError, RequestRefusedError
from tunewright.endpoints.cache import find_reply, keep_reply, reply_key
from tunewright.endpoints.settings import Endpoint
from tunewright.endpoints.threads import in_order
from tunewright.endpoints.wire import Reply, Request, TryAgainError, Usage, as_sent, exchange, read_reply

if TYPE_CHECKING:
    import httpx

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_LONGEST_ASKED_WAIT_S = 120.0
_CONNECT_S = 10.0
_NEWER_LIMIT = "max_completion_tokens"
_GOES_ON = "What was answered is kept: the same command goes on from there."


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that the endpoint refused for what stands in it, and why."""

    reason: str


class Client:
    """Asks one model. Any number of threads may use one client, and any number of clients one cache."""

    def __init__(
        self, endpoint: Endpoint, cache: Path | None = None, *, environment: Mapping[str, str] = os.environ
    ) -> None:
        """
        Args:
            endpoint: Who is asked.
            cache: A folder for replies, such as `workspace.cache / "endpoints"`; None: nothing is kept.
            environment: Where the key stands.

        Raises:
            InputError: If the key's variable is named and not set.
        """
        self.endpoint, self._cache = endpoint, cache
        self._key = endpoint.key(environment)
        self._usage = Usage()
        self._under_way = 0  # tokens that requests being answered may cost
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._closed = threading.Event()
        self._http: httpx.Client | None = None
        # Newer OpenAI models refuse `max_tokens`; older servers know nothing else.
        self._limit_field = "max_tokens"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends waits for another try, and closes connections."""
        self._closed.set()
        if self._http is not None:
            self._http.close()

    @property
    def usage(self) -> Usage:
        """What was asked and spent so far."""
        with self._lock:
            return self._usage

    def chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        temperature: float | None = 0.0,
        max_tokens: int = 1024,
        seed: int | None = None,
        wants_json: bool = False,
    ) -> Reply:
        """The model's answer to a conversation; see `Request` for what may be asked.

        Raises:
            RequestRefusedError: If the endpoint refuses this request for what stands in it.
            EndpointError: If the endpoint is not reached or fails however often it is tried, refuses the key, or the
                budget is spent.
        """
        return self.ask(Request(as_sent(messages), temperature, max_tokens, seed, wants_json))

    def chat_each(self, requests: Iterable[Request]) -> Iterator[Reply | Refused]:
        """Answers to many requests, `concurrency` of them at a time, in the requests' order.

        Raises:
            EndpointError: As `chat`; what was answered by then has been given, or is in the cache.
        """
        return in_order(self._ask_or_refused, requests, threads=self.endpoint.concurrency)

    def ask(self, request: Request) -> Reply:
        """As `chat`, for a request."""
        key = reply_key(request, self.endpoint.url, self.endpoint.model)
        if self._cache is not None and (known := find_reply(self._cache, key)):
            self._count(cached=1)
            return known
        self._reserve(request.likely_tokens)
        try:
            reply = self._insist(request)
            self._count(requests=1, prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
        finally:
            self._release(request.likely_tokens)
        if self._cache is not None:
            keep_reply(self._cache, key, reply)
        return reply

    def _ask_or_refused(self, request: Request) -> Reply | Refused:
        try:
            return self.ask(request)
        except RequestRefusedError as error:
            return Refused(error.what)

    def _insist(self, request: Request) -> Reply:
        """Asks until there is an answer, or enough was tried."""
        reason = ""
        for attempt in range(1, self.endpoint.attempts + 1):
            try:
                return self._try(request)
            except TryAgainError as trouble:
                reason = trouble.reason
                wait_s = trouble.after_s if trouble.after_s is not None else _wait_s(attempt)
                if attempt == self.endpoint.attempts:
                    break
            if wait_s > _LONGEST_ASKED_WAIT_S:
                raise EndpointError(
                    f"The endpoint {reason}, and asks to wait {wait_s:,.0f} s", where=self.endpoint.url, hint=_GOES_ON
                )
            self._count(retries=1)
            if self._closed.wait(wait_s):
                raise EndpointError("The client was closed while it waited", where=self.endpoint.url)
        often = f", {self.endpoint.attempts} times in a row" if self.endpoint.attempts > 1 else ""
        raise EndpointError(
            f"The endpoint {reason}{often}", where=self.endpoint.url, hint=f"See that it runs. {_GOES_ON}"
        )

    def _try(self, request: Request) -> Reply:
        url = f"{self.endpoint.url}/chat/completions"
        field = self._limit_field
        body = request.body(self.endpoint.model, field)
        answered = exchange(self._connection(), url, self.endpoint.timeout_s, json=body)
        if answered.status == 400 and field != _NEWER_LIMIT and _NEWER_LIMIT.encode() in answered.content:
            self._limit_field = _NEWER_LIMIT
            return self._try(request)
        return read_reply(answered, request, where=self.endpoint.url, secret=self._key)

    def _connection(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._http is None:
                self._http = httpx.Client(
                    timeout=httpx.Timeout(self.endpoint.timeout_s, connect=_CONNECT_S, pool=None),
                    limits=httpx.Limits(max_connections=self.endpoint.concurrency),
                    headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                    # A proxy that the environment names knows nothing of this machine's own ports.
                    trust_env=not self.endpoint.is_local,
                )
            return self._http

    def _reserve(self, tokens: int) -> None:
        """Sets tokens aside for a request that begins.

        Raises:
            EndpointError: If that may go over the budget.
        """
        budget = self.endpoint.token_budget
        with self._lock:
            if budget is not None:
                # Those under way mostly cost less than what was set aside for them: wait and see.
                self._settled.wait_for(
                    lambda: not self._under_way or self._usage.tokens + self._under_way + tokens <= budget
                )
            spent = self._usage.tokens
            if budget is not None and spent + self._under_way + tokens > budget:
                raise EndpointError(
                    f"The budget of {budget:,} tokens is spent: {spent:,} were used, and the next request may take "
                    f"{tokens:,}",
                    where=self.endpoint.url,
                    hint=f"Raise the budget. {_GOES_ON}",
                )
            self._under_way += tokens

    def _release(self, tokens: int) -> None:
        with self._lock:
            self._under_way -= tokens
            self._settled.notify_all()

    def _count(self, **more: int) -> None:
        with self._lock:
            self._usage = replace(
                self._usage, **{name: getattr(self._usage, name) + count for name, count in more.items()}
            )


def _wait_s(attempt: int) -> float:
    """Twice as long each time, and never quite the same, so that many clients do not come back at once."""
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25))
