"""Fetching from the web, as a guest: public addresses only, robots.txt kept, one request at a time and within bounds.

An address is looked up once, checked, and then connected to as it was checked, on the first request and on every
redirect; so neither a name that points inward nor one that changes its mind leads to this machine's own network
(server-side request forgery, OWASP).
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from tunewright import __version__
from tunewright.base.errors import DataError
from tunewright.models.delivery import in_background

USER_AGENT = f"tunewright/{__version__}"
MOST_REDIRECTS = 5
_LOOK_UP_S = 10.0
_SILENCE_S = 20.0  # longest wait for the next bytes
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0  # what a robots.txt may ask for
_ROBOTS_BYTES = 512 << 10  # RFC 9309, 2.5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_GONE_ON = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large an answer may be, and how long it may take."""

    size_bytes: int
    time_s: float


PAGE = Bounds(16 << 20, 60.0)
DOWNLOAD = Bounds(16 << 30, 3600.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands at an address: where it was found after redirects, its type (`text/html`), its encoding if said."""

    url: str
    type: str
    encoding: str
    chunks: Iterator[bytes]


class PageError(DataError):
    """An address that is not fetched, or that gave nothing; `what` says why."""


class Web:
    """A visitor: remembers what sites ask of robots, and when each was last visited.

    Args:
        allowed: Addresses that may be connected to though they are not public. No recipe can name any.
        pause_s: Least time between two requests to one site.
    """

    def __init__(self, *, allowed: Iterable[str] = (), pause_s: float = _PAUSE_S) -> None:
        import httpcore
        import httpx

        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(), network_backend=_guarded(frozenset(allowed)), max_connections=1
        )
        self._pause_s = pause_s
        self._visited: dict[str, float] = {}
        self._robots: dict[str, RobotFileParser] = {}

    def get(self, url: str, bounds: Bounds, *, robots: bool = True) -> Iterator[Answer]:
        """Yields one answer, whose chunks are to be read before going on.

        Raises:
            PageError: If the address is not public, the site wants no robots there, or there is no good answer in time.
        """
        deadline = time.monotonic() + bounds.time_s
        for _ in range(MOST_REDIRECTS + 1):
            site = _site(url)
            if robots and not self._robots_of(site).can_fetch(USER_AGENT, url):
                raise PageError(f"{site} asks robots not to read this (robots.txt)", where=url)
            self._wait(site, deadline, url)
            with _told(url), self._pool.stream("GET", _ascii(url), headers=_headers(), extensions=_limits()) as answer:
                headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in answer.headers}
                if answer.status in _GONE_ON and "location" in headers:
                    url = urljoin(url, headers["location"])
                    continue
                if answer.status != 200:
                    raise PageError(f"the site answered {answer.status}", where=url)
                if headers.get("content-encoding", "identity") != "identity":
                    raise PageError(f"the site answered in {headers['content-encoding']}, unasked", where=url)
                kind, _, rest = headers.get("content-type", "").partition(";")
                encoding = rest.partition("charset=")[2].strip().strip("\"'")
                yield Answer(url, kind.strip().lower(), encoding, _bounded(answer.iter_stream(), bounds, deadline, url))
                return
        raise PageError(f"more than {MOST_REDIRECTS} redirects", where=url)

    def read(self, url: str, bounds: Bounds, *, robots: bool = True) -> tuple[Answer, bytes]:
        """An answer, and all of its bytes."""
        for answer in self.get(url, bounds, robots=robots):
            return answer, b"".join(answer.chunks)
        raise AssertionError("get gives an answer, or raises")

    def close(self) -> None:
        """Ends all connections."""
        self._pool.close()

    def _wait(self, site: str, deadline: float, url: str) -> None:
        delay = self._robots[site].crawl_delay(USER_AGENT) if site in self._robots else None
        pause = max(self._pause_s, min(float(delay or 0.0), _LONGEST_PAUSE_S))
        until = self._visited.get(site, float("-inf")) + pause
        if (left := until - time.monotonic()) > 0:
            time.sleep(left)
        self._visited[site] = time.monotonic()

    def _robots_of(self, site: str) -> RobotFileParser:
        """What a site asks of robots (RFC 9309): nothing where it has no such file, all where it cannot be asked."""
        if site in self._robots:
            return self._robots[site]
        rules = RobotFileParser()
        try:
            _, raw = self.read(f"{site}/robots.txt", Bounds(_ROBOTS_BYTES, PAGE.time_s), robots=False)
            rules.parse(raw.decode("utf-8", errors="replace").splitlines())
        except PageError as error:
            if not error.what.startswith("the site answered 4"):
                raise PageError(f"robots.txt cannot be read: {error.what}", where=site) from error
            rules.parse([])
        self._robots[site] = rules
        return rules


def _site(url: str) -> str:
    """Scheme, host and port.

    Raises:
        PageError: If this is no address on the web.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise PageError(f"this is no address ({error})", where=url) from error
    if parts.scheme not in ("http", "https") or not host:
        raise PageError("this is no http:// or https:// address", where=url)
    if parts.username or parts.password:
        raise PageError("the address holds a name or a password", where=parts.hostname or "")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}"


def _ascii(url: str) -> str:
    """The address with other letters written as they travel: names in IDNA, all else per cent."""
    import httpx

    try:
        return str(httpx.URL(url))
    except httpx.InvalidURL as error:
        raise PageError(f"this is no address ({error})", where=url) from error


def _headers() -> list[tuple[bytes, bytes]]:
    # Unpacked by nobody: an answer's size is what comes over the wire.
    return [(b"User-Agent", USER_AGENT.encode()), (b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]


def _limits() -> dict[str, Any]:
    return {"timeout": {"connect": _SILENCE_S, "read": _SILENCE_S, "write": _SILENCE_S, "pool": _SILENCE_S}}


def _bounded(chunks: Iterable[bytes], bounds: Bounds, deadline: float, url: str) -> Iterator[bytes]:
    size = 0
    with _told(url):
        for chunk in chunks:
            size += len(chunk)
            if size > bounds.size_bytes:
                raise PageError(f"the answer is larger than {bounds.size_bytes / 1e6:,.0f} MB", where=url)
            if time.monotonic() > deadline:
                raise PageError(f"the answer took longer than {bounds.time_s:g} seconds", where=url)
            yield chunk


class _told:  # noqa: N801 - used as a function is
    """Turns what the network raises into a `PageError`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import httpcore

        if isinstance(error, httpcore.TimeoutException):
            raise PageError(f"the site said nothing for {_SILENCE_S:g} seconds", where=self._url) from error
        broken = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError)
        if isinstance(error, broken):
            raise PageError(f"the site cannot be reached ({error or type(error).__name__})", where=self._url) from error


def check_address(address: str, host: str) -> None:
    """Raises a `PageError` if an IP address is not a public one: of this machine, a private network, or no host's."""
    found: Any = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        # Addresses of the old kind inside of new ones lead where the old ones do.
        if found in _NAT64:
            found = ipaddress.ip_address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else found)
    if not found.is_global or found.is_multicast:
        told = address if host in (address, f"[{address}]") else f"{host} is at {address}, which"
        raise PageError(f"{told} is no public address", where=host)


def _guarded(allowed: frozenset[str]) -> Any:
    """httpcore's way to the network, with every address checked before it is connected to."""
    import httpcore

    class Guarded(httpcore.SyncBackend):
        def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            addresses = _look_up(host, port)
            for address in addresses:
                if address not in allowed:
                    check_address(address, host)
            return super().connect_tcp(addresses[0], port, *args, **kwargs)

    return Guarded()


def _look_up(host: str, port: int) -> list[str]:
    asked = in_background(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    if not wait([asked], _LOOK_UP_S).done:
        raise PageError(f"the name was not found within {_LOOK_UP_S:g} seconds", where=host)
    try:
        found = asked.result()
    except (OSError, UnicodeError) as error:
        raise PageError(f"the name is unknown ({error})", where=host) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
