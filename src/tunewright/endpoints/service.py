"""A whole server that speaks OpenAI's API: its models, files and jobs, and answers as they come.

`Client` asks one model many questions, and keeps what it was told. A `Service` is for a person at the command line: it
asks anything once, and says what went wrong.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from tunewright.base.errors import EndpointError
from tunewright.base.streamed import StreamedLines
from tunewright.endpoints.settings import Endpoint
from tunewright.endpoints.wire import TryAgainError, exchange, refuse_faults

if TYPE_CHECKING:
    import httpx

OWN_KEY = "TUNEWRIGHT_API_KEY"
_ATTEMPTS = 4
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an answer ended, as the server says it: `stop`, `length`, `tool_calls`; and what it took, in tokens."""

    finish: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Service:
    """A server, and the key for it. A context manager: connections close with it."""

    def __init__(
        self,
        url: str,
        *,
        environment: Mapping[str, str] = os.environ,
        timeout_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Args:
            url: Its address, with or without /v1 behind it.
            environment: Where the key stands: TUNEWRIGHT_API_KEY, else OPENAI_API_KEY, which only leaves this machine
                encrypted.
            timeout_s: Longest wait for one answer, or for the next piece of a stream, in seconds.
            transport: How requests get there, where it is not the network.

        Raises:
            InputError: If the address is no URL.
        """
        variable = OWN_KEY if environment.get(OWN_KEY, "").strip() else ""
        endpoint = Endpoint.of(url=url, model="any", key_variable=variable)
        self.url = endpoint.url if urlsplit(endpoint.url).path else f"{endpoint.url}/v1"
        self._key, self._timeout_s, self._is_local = endpoint.key(environment), timeout_s, endpoint.is_local
        self._transport = transport
        self._http: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            self._http.close()

    def get(self, *path: str, **query: str | int | None) -> dict[str, Any]:
        """What stands at a path, such as `get("models", "org/name")`; tried again where that may help.

        Raises:
            EndpointError: If it is not reached however often it is tried, or refuses.
        """
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                return self._once("GET", path, query=query)
            except TryAgainError as trouble:
                reason = trouble.reason
                wait_s = trouble.after_s if trouble.after_s is not None else _FIRST_WAIT_S * 2**attempt
                if attempt + 1 < _ATTEMPTS:
                    time.sleep(min(_LONGEST_WAIT_S, wait_s))
        raise self._unreached(reason)

    def pages(self, *path: str, **query: str | int | None) -> Iterator[dict[str, Any]]:
        """Every object of a list, page after page."""
        after: str | None = None
        while True:
            page = self.get(*path, **query, after=after)
            yield from page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            after = page["data"][-1]["id"]

    def post(self, *path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Asks for something to be done; once, since doing it twice may be wrong.

        Raises:
            EndpointError: If it is not reached, or refuses.
        """
        try:
            return self._once("POST", path, body=body or {})
        except TryAgainError as trouble:
            raise self._unreached(trouble.reason) from None

    def upload(self, file: Path, *, purpose: str) -> dict[str, Any]:
        """Sends a file; gives the server's object of it.

        Raises:
            EndpointError: If the server is not reached, or refuses the file.
        """
        try:
            with file.open("rb") as content:
                return self._once("POST", ("files",), files={"file": (file.name, content)}, data={"purpose": purpose})
        except TryAgainError as trouble:
            raise self._unreached(trouble.reason) from None

    def chat(self, model: str, messages: list[dict[str, str]], **settings: Any) -> Iterator[str | Ending]:
        """A model's answer, piece by piece as it is written, and at last why it ended.

        Raises:
            EndpointError: If the server is not reached, refuses, or breaks off.
        """
        body = {"model": model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        finish = ""
        usage: dict[str, Any] = {}
        for chunk in self._events("chat/completions", body | settings):
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices") or []:
                finish = choice.get("finish_reason") or finish
                if piece := (choice.get("delta") or {}).get("content"):
                    yield piece
        if not finish:
            raise EndpointError("The server's answer broke off before its end", where=self.url, hint="Ask again.")
        yield Ending(finish, usage.get("prompt_tokens"), usage.get("completion_tokens"))

    def _events(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """What a stream says, up to its `[DONE]`."""
        import httpx

        try:
            with self._connection().stream("POST", f"{self.url}/{path}", json=body) as response:
                if response.status_code != 200:
                    refuse_faults(response.status_code, response.headers, response.read(), self.url, self._key)
                lines = StreamedLines()
                for line in (line for data in response.iter_bytes() for line in lines.feed(data)):
                    said = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                    if said == "[DONE]":
                        return
                    if said:
                        yield _checked(said, self.url)
        except ValueError as error:
            raise EndpointError(f"The server sends what is no event ({error})", where=self.url) from None
        except TryAgainError as trouble:
            raise self._unreached(trouble.reason) from None
        except httpx.TimeoutException:
            raise self._unreached(f"sent nothing for {self._timeout_s:g} s") from None
        except httpx.ConnectError as error:
            raise self._unreached(f"cannot be reached ({error})") from None
        except httpx.TransportError as error:
            raise self._unreached(f"broke off in its answer ({error})") from None

    def _once(self, method: str, path: tuple[str, ...], **sent: Any) -> dict[str, Any]:
        where = f"{self.url}/{'/'.join(quote(part, safe=':') for part in path)}"
        sent = {_NAMES_IN_HTTPX[name]: value for name, value in sent.items()}
        if "params" in sent:
            sent["params"] = {name: value for name, value in sent["params"].items() if value is not None}
        answered = exchange(self._connection(), where, self._timeout_s, method=method, **sent)
        refuse_faults(answered.status, answered.headers, answered.content, self.url, self._key)
        return _checked(answered.content, self.url)

    def _connection(self) -> httpx.Client:
        import httpx

        if self._http is None:
            self._http = httpx.Client(
                timeout=httpx.Timeout(self._timeout_s, connect=10.0),
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                transport=self._transport,
                # A proxy that the environment names knows nothing of this machine's own ports.
                trust_env=not self._is_local,
            )
        return self._http

    def _unreached(self, reason: str) -> EndpointError:
        return EndpointError(
            f"The server {reason}", where=self.url, hint="See that it runs: tunewright serve, on its machine."
        )


_NAMES_IN_HTTPX = {"query": "params", "body": "json", "files": "files", "data": "data"}


def _checked(said: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object that a server sent.

    Raises:
        EndpointError: If it is none, or one that holds an error.
    """
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EndpointError(
            "The server answers with something that is no JSON object", where=where, hint="Check its address."
        )
    if isinstance(value.get("error"), dict) and "message" in value["error"] and "id" not in value:
        raise EndpointError(f"The server broke off: {value['error']['message']}", where=where, hint="Ask again.")
    return value
