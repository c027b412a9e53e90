"""A guest on the web: nothing private is reached, robots are heeded, and nothing is waited for without end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.data.collecting.site import drip, flood, page, site
from tunewright.data.collecting import web
from tunewright.data.collecting.web import PAGE, Bounds, PageError, Web, check_address

HERE = ("127.0.0.1",)


@pytest.fixture
def guest() -> Iterator[Web]:
    visitor = Web(allowed=HERE, pause_s=0)
    yield visitor
    visitor.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",  # 6to4 around 127.0.0.1
        "64:ff9b::a9fe:a9fe",  # NAT64 around 169.254.169.254
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(PageError, match="no public address"):
        check_address(address, "host")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_pass(address: str) -> None:
    check_address(address, "host")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
    ],
)
def test_this_machine_is_not_reached_however_it_is_written(url: str) -> None:
    with site({"/": page("secret")}) as (address, asked):
        visitor = Web(pause_s=0)
        with pytest.raises(PageError, match=r"no public address|unknown|cannot be reached"):
            visitor.read(url.format(port=address.rpartition(":")[2]), PAGE, robots=False)
        visitor.close()
        assert not asked


def test_a_redirect_inward_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public site may be visited (here: one that is allowed), and may not send its guest elsewhere."""
    pages: dict[str, Any] = {}
    with site(pages) as (address, asked):
        port = address.rpartition(":")[2]
        pages["/"] = (302, {"Location": f"http://inside.example:{port}/secret"}, b"")
        real = socket.getaddrinfo

        def names(host: str, *args: Any, **kwargs: Any) -> Any:
            return real(
                {"outside.example": "127.0.0.1", "inside.example": "127.0.0.2"}.get(host, host), *args, **kwargs
            )

        monkeypatch.setattr(socket, "getaddrinfo", names)
        visitor = Web(allowed=HERE, pause_s=0)
        with pytest.raises(PageError, match=r"inside.example is at 127.0.0.2"):
            visitor.read(f"http://outside.example:{port}/", PAGE, robots=False)
        visitor.close()
        assert asked == ["/"]


def test_a_name_is_looked_up_once_for_check_and_connection(guest: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public at the first look and private at the second (DNS rebinding) has no second look."""
    looked: list[str] = []

    def changing(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        looked.append(host)
        address = "127.0.0.1" if len(looked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with site({"/": page("hello")}) as (address, _):
        port = address.rpartition(":")[2]
        real = socket.create_connection
        connected: list[str] = []
        monkeypatch.setattr(web, "_look_up", lambda host, port: [changing(host, port)[0][4][0]])
        monkeypatch.setattr(
            socket, "create_connection", lambda to, *a, **k: connected.append(to[0]) or real(to, *a, **k)
        )
        guest.read(f"http://rebinding.example:{port}/", PAGE, robots=False)
        assert looked == ["rebinding.example"]
        assert connected == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/x", "gopher://x", "http://", "http://[::1", "http://u:p@x.org/"]
)
def test_what_is_no_address_on_the_web_is_refused(guest: Web, url: str) -> None:
    with pytest.raises(PageError):
        guest.read(url, PAGE)


def test_robots_are_heeded(guest: Web) -> None:
    rules = (200, {}, b"User-agent: *\nDisallow: /private\n\nUser-agent: tunewright\nDisallow: /mine\n")
    with site({"/robots.txt": rules, "/private": page("x"), "/mine": page("x"), "/a": page("x")}) as (address, asked):
        guest.read(f"{address}/private", PAGE)  # the rules for us come first
        with pytest.raises(PageError, match="asks robots not to read this"):
            guest.read(f"{address}/mine", PAGE)
        guest.read(f"{address}/a", PAGE)
        assert asked == ["/robots.txt", "/private", "/a"]


@pytest.mark.parametrize(("status", "is_open"), [(404, True), (403, True), (500, False)])
def test_a_site_without_robots_is_open_and_one_that_cannot_say_is_closed(
    guest: Web, status: int, is_open: bool
) -> None:
    with site({"/robots.txt": (status, {}, b""), "/a": page("x")}) as (address, _):
        if is_open:
            assert guest.read(f"{address}/a", PAGE)[0].type == "text/html"
        else:
            with pytest.raises(PageError, match=r"robots.txt cannot be read: the site answered 500"):
                guest.read(f"{address}/a", PAGE)


def test_redirects_are_followed_and_end(guest: Web) -> None:
    pages = {
        "/a": (301, {"Location": "/b"}, b""),
        "/b": page("there"),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/odd": (302, {"Location": "file:///etc/passwd"}, b""),
    }
    with site(pages) as (address, _):
        answer, raw = guest.read(f"{address}/a", PAGE)
        assert answer.url == f"{address}/b"
        assert b"there" in raw
        with pytest.raises(PageError, match="more than 5 redirects"):
            guest.read(f"{address}/loop", PAGE)
        with pytest.raises(PageError, match="no http"):
            guest.read(f"{address}/odd", PAGE)


def test_answers_are_bounded_in_size_and_time(guest: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(handler: Any) -> None:
        time.sleep(2)

    with site({"/flood": flood, "/drip": drip, "/silent": silent}) as (address, _):
        with pytest.raises(PageError, match="larger than 1 MB"):
            guest.read(f"{address}/flood", Bounds(1_000_000, 30), robots=False)
        with pytest.raises(PageError, match=r"longer than 0\.3 seconds"):
            guest.read(f"{address}/drip", Bounds(1_000_000, 0.3), robots=False)
        monkeypatch.setattr(web, "_SILENCE_S", 0.2)
        with pytest.raises(PageError, match=r"said nothing for 0\.2 seconds"):
            guest.read(f"{address}/silent", PAGE, robots=False)


def test_a_site_is_not_hurried() -> None:
    with site({"/": page("x")}) as (address, _):
        visitor = Web(allowed=HERE, pause_s=0.15)
        start = time.monotonic()
        for _ in range(3):
            visitor.read(f"{address}/", PAGE, robots=False)
        visitor.close()
        assert time.monotonic() - start >= 0.3


def test_a_dead_site_and_an_error_are_told(guest: Web) -> None:
    with site({}) as (address, _), pytest.raises(PageError, match="answered 404"):
        guest.read(f"{address}/none", PAGE, robots=False)
    with pytest.raises(PageError, match="cannot be reached"):
        guest.read(f"{address}/none", PAGE, robots=False)
