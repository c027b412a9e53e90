"""Clients that send slowly, send too much, do not read, or are too many, over real connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse

from tests.server.live import Live, live, read
from tunewright.server.app import build_app
from tunewright.server.connections import HEADER_BYTES
from tunewright.server.context import Server
from tunewright.server.serving import Patience, web_server

QUICK = Patience(headers=0.3, stall=0.4, drain=1.0, connections=4)
HEAD = b"POST /v1/files HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def server(server_with: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    def with_flood(made: Server) -> object:
        app = build_app(made)

        @app.get("/v1/flood")
        def flood() -> StreamingResponse:
            return StreamingResponse(b"x" * 65536 for _ in range(4000))

        @app.post("/v1/take")
        async def take(request: Request) -> int:
            return len(await request.body())

        return app

    monkeypatch.setattr("tunewright.server.serving.build_app", with_flood)
    made = server_with(body_timeout_s=0.4, min_body_rate=1000, max_body_bytes=1 << 20)
    with live(made, web=web_server(made, patience=QUICK)) as running:
        yield running


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_headers_that_come_a_byte_at_a_time_are_given_up(server: Live) -> None:
    connection = server.send(b"GET /healthz HTTP/1.1\r\n")
    began = time.monotonic()
    for byte in b"Host: 127.0.0.1":
        time.sleep(0.05)
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            break
    answer = read(connection)
    assert time.monotonic() - began < 2
    assert status(answer) == 408
    assert b'"code":null' in answer.replace(b" ", b"")


def test_a_second_request_on_the_same_connection_may_not_be_slower(server: Live) -> None:
    connection = server.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status(connection.recv(65536)) == 200
    connection.sendall(b"GET /healthz HTT")
    assert status(read(connection)) == 408


def test_a_body_that_stops_is_given_up(server: Live) -> None:
    connection = server.send(b"POST /v1/take HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    began = time.monotonic()
    answer = read(connection)
    assert (status(answer), b"body_timeout" in answer) == (408, True)
    assert time.monotonic() - began < 3


def test_a_body_that_drips_is_given_up_too(server: Live) -> None:
    connection = server.send(b"POST /v1/take HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    began = time.monotonic()
    while time.monotonic() - began < 3:  # never 0.4 s without a byte, and yet 100 bytes a second
        try:
            connection.sendall(b"0123456789")
        except OSError:
            break
        time.sleep(0.1)
    assert time.monotonic() - began < 3
    assert status(read(connection)) == 408


def test_a_body_without_end_is_refused_while_it_comes(server: Live) -> None:
    connection = server.send(b"POST /v1/take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent = 0
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    while sent < 64 << 20:
        try:
            connection.sendall(piece)
        except OSError:
            break
        sent += 65536
    assert sent < 64 << 20
    assert b" 413 " in read(connection)[:40] or sent > 1 << 20


def test_a_refused_body_does_not_become_the_next_request(server: Live) -> None:
    connection = server.send(
        b"POST /v1/take HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    answer = read(connection)
    assert status(answer) == 413
    assert answer.count(b"HTTP/1.1") == 1


def test_a_flood_of_headers_is_refused(server: Live) -> None:
    flood = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(HEADER_BYTES // 50))
    answer = read(server.send(b"GET /healthz HTTP/1.1\r\n" + flood))
    assert (status(answer), b'"error"' in answer) == (431, True)


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA B: c\r\n\r\n"]
)
def test_what_is_no_http_is_refused_in_the_same_form(server: Live, nonsense: bytes) -> None:
    answer = read(server.send(nonsense))
    assert (status(answer), b'"invalid_request_error"' in answer) == (400, True)


def test_a_client_that_does_not_read_is_given_up(server: Live) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET /v1/flood HTTP/1.1\r\nHost: x\r\n\r\n")
    deadline = time.monotonic() + 5
    while len(server.web.server_state.connections) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    while server.web.server_state.connections and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.web.server_state.connections
    connection.settimeout(5)
    assert len(read(connection)) < 4000 * 65536


def test_connections_beyond_the_most_are_told_and_far_beyond_cut(server: Live) -> None:
    held = [server.send(b"") for _ in range(4)]
    answer = read(server.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert (status(answer), b"retry-after: 1" in answer.lower()) == (503, True)
    held += [server.send(b"") for _ in range(4)]
    assert read(server.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) == b""
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        answer = read(server.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        if answer and status(answer) == 200:
            return
        time.sleep(0.02)
    pytest.fail("it does not answer again")
