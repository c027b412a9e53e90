"""One exchange with an endpoint: what is sent, what came back, and what to make of it."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import EndpointError, RequestRefusedError

if TYPE_CHECKING:
    import httpx

_LARGEST_ANSWER_BYTES = 16 << 20
_LONGEST_FAULT_CHARACTERS = 300
_TRY_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_NEEDS_KEY = (401, 403)
_REFUSES_THIS = (400, 413, 422)
# Why an answer may have ended before its end.
CUT = ("length", "content_filter")
_BYTES_A_TOKEN = 4  # about so many in English; only for what is under way, or where an endpoint does not count


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    Args:
        messages: `{"role": …, "content": …}`, in order.
        temperature: 0 for the likeliest answer; None leaves it to the endpoint (some models take no other).
        max_tokens: Longest answer, in tokens.
        seed: Requests that differ in it alone are asked, and kept, apart.
        wants_json: Whether the answer must be one JSON object.
        top_p: Only the fewest tokens whose probabilities reach this are drawn; None leaves it to the endpoint.
    """

    messages: tuple[Mapping[str, str], ...]
    temperature: float | None = 0.0
    max_tokens: int = 1024
    seed: int | None = None
    wants_json: bool = False
    top_p: float | None = None

    def body(self, model: str, limit_field: str = "max_tokens") -> dict[str, Any]:
        """The request as the API takes it."""
        given: dict[str, Any] = {
            "model": model,
            "messages": [dict(message) for message in self.messages],
            limit_field: self.max_tokens,
        }
        if self.temperature is not None:
            given["temperature"] = self.temperature
        if self.top_p is not None:
            given["top_p"] = self.top_p
        if self.seed is not None:
            given["seed"] = self.seed
        if self.wants_json:
            given["response_format"] = {"type": "json_object"}
        return given

    @property
    def likely_tokens(self) -> int:
        """What it may cost at most, about: its text and its longest answer."""
        return sum(_tokens_in(message["content"]) for message in self.messages) + self.max_tokens


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Args:
        text: The answer; empty where it gave none.
        finish: Why it ended: `stop`, `length` (cut at the limit), or what else the endpoint says.
        prompt_tokens: What the request cost; estimated from the text where the endpoint does not count.
        completion_tokens: What the answer cost, likewise.
        cached: Whether it was known before, and cost nothing.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a client has done: requests answered by the endpoint and from the cache, tries again, and tokens spent."""

    requests: int = 0
    cached: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens spent, prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens


class TryAgainError(Exception):
    """It did not work this time.

    Args:
        reason: What the endpoint did, to stand behind "The endpoint".
        after_s: How long the endpoint asks to wait; None: it does not say.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after_s = reason, after_s


@dataclass(frozen=True, slots=True)
class Answered:
    """A response as it came: status, headers in small letters, body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def exchange(http: httpx.Client, url: str, timeout_s: float, *, method: str = "POST", **sent: Any) -> Answered:
    """Sends a request and reads the whole response, within the time and within bounded memory.

    Args:
        sent: What is sent, as httpx names it: `json`, `params`, `data`, `files`.

    Raises:
        TryAgainError: If the endpoint is not reached, is too slow, or breaks off.
        EndpointError: If the response is endless.
    """
    import httpx

    until = time.monotonic() + timeout_s
    content = bytearray()
    try:
        with http.stream(method, url, **sent) as response:
            for chunk in response.iter_bytes():
                content += chunk
                # The library bounds the wait for each piece; one that trickles would never end.
                if time.monotonic() > until:
                    raise TryAgainError(f"did not finish its answer within {timeout_s:g} s")
                if len(content) > _LARGEST_ANSWER_BYTES:
                    raise EndpointError(
                        f"The answer is longer than {_LARGEST_ANSWER_BYTES >> 20} MiB, and is none of this API",
                        where=url,
                        hint="Check the base URL; it usually ends in /v1.",
                    )
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answered(response.status_code, headers, bytes(content))
    except httpx.TimeoutException:
        raise TryAgainError(f"did not answer within {timeout_s:g} s") from None
    except httpx.ConnectError as error:
        raise TryAgainError(f"cannot be reached ({error})") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise TryAgainError(f"broke off in its answer ({error})") from None


def read_reply(answered: Answered, request: Request, *, where: str, secret: str) -> Reply:
    """The reply in a response.

    Args:
        secret: What must not stand in any message: some endpoints repeat the key they were sent.

    Raises:
        TryAgainError: If it may work the next time.
        RequestRefusedError: If this request is wrong.
        EndpointError: If no request will work.
    """
    refuse_faults(answered.status, answered.headers, answered.content, where, secret)
    return _completion(answered.content, request)


def refuse_faults(status: int, headers: Mapping[str, str], content: bytes, where: str, secret: str) -> None:
    """Nothing where a response is a good one, of status 200.

    Args:
        headers: In small letters.
        secret: What must not stand in any message: some endpoints repeat the key they were sent.

    Raises:
        TryAgainError: If it may work the next time.
        RequestRefusedError: If this request is wrong.
        EndpointError: If no request will work.
    """
    if status == 200:
        return
    said = _fault_in(content, secret)
    told = f": {said}" if said else ""
    if status in _NEEDS_KEY:
        raise EndpointError(
            f"The endpoint refuses the key, or wants one (status {status}){told}",
            where=where,
            hint="Put the key into an environment variable, and name that as the key variable.",
        )
    if status == 429 and "insufficient_quota" in content.decode(errors="replace"):
        raise EndpointError(f"The account behind the endpoint is spent{told}", where=where, hint="Top it up.")
    if status in _TRY_AGAIN:
        reason = f"is too busy (status 429){told}" if status == 429 else f"fails (status {status}){told}"
        raise TryAgainError(reason, _seconds(headers.get("retry-after", "")))
    if status in _REFUSES_THIS:
        raise RequestRefusedError(f"The endpoint refuses this request (status {status}){told}", where=where)
    if 300 <= status < 400:
        moved = headers.get("location", "elsewhere")
        raise EndpointError(
            f"The endpoint has moved to {moved}", where=where, hint="Give that base URL, if it is yours."
        )
    raise EndpointError(
        f"The endpoint answers with status {status}{told}",
        where=where,
        hint="Check the base URL, which usually ends in /v1, and the model's name.",
    )


def _completion(content: bytes, request: Request) -> Reply:
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text = choice["message"].get("content") or ""
        used = value.get("usage") or {}
        if not isinstance(text, str):
            raise TypeError
        return Reply(
            text,
            str(choice.get("finish_reason") or "stop"),
            int(used.get("prompt_tokens") or sum(_tokens_in(message["content"]) for message in request.messages)),
            int(used.get("completion_tokens") or _tokens_in(text)),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise TryAgainError("answers with something that is no chat completion") from None


def _fault_in(content: bytes, secret: str) -> str:
    """What an endpoint says is wrong, on one line and without the key."""
    try:
        value: Any = json.loads(content)
        value = value.get("error", value) if isinstance(value, dict) else value
        said = value.get("message") or value.get("detail") or "" if isinstance(value, dict) else value
    except (ValueError, RecursionError):
        said = content.decode(errors="replace")
    line = " ".join(str(said).split())
    if secret:
        line = line.replace(secret, "[key]")
    cut = _LONGEST_FAULT_CHARACTERS
    return line if len(line) <= cut else f"{line[:cut]}…"


def _seconds(text: str) -> float | None:
    """The wait that a `Retry-After` header asks for, in seconds or as a date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _tokens_in(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


def as_messages(system: str, user: str) -> tuple[Mapping[str, str], ...]:
    """The usual two messages."""
    return {"role": "system", "content": system}, {"role": "user", "content": user}


def as_sent(messages: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """Messages as plain copies, so that nobody changes what is under way."""
    return tuple({"role": message["role"], "content": message["content"]} for message in messages)
