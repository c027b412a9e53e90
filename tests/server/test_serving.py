"""How a server starts and ends: where it may listen, TLS, answers that are under way, and what runs beside it."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

from tests.server.live import live, read
from tunewright.base.errors import InputError
from tunewright.server.app import build_app
from tunewright.server.context import Server, Settings
from tunewright.server.serving import Certificate, Patience, check_exposure, is_loopback, web_server
from tunewright.server.start import Address, Plan, serve
from tunewright.store import Workspace

Make = Callable[..., Server]


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.0.0.9", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_only_this_machine_is_loopback(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_without_keys_nobody_from_elsewhere_is_served() -> None:
    with pytest.raises(InputError, match="tunewright keys create"):
        check_exposure("0.0.0.0", keys=False)
    check_exposure("0.0.0.0", keys=True)
    check_exposure("127.0.0.1", keys=False)


class Beside:
    """What runs beside a server, and how often it was told to end."""

    def __init__(self) -> None:
        self.told = 0

    def ask_to_end(self) -> None:
        self.told += 1


def with_streams(monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    def made(server: Server) -> Any:
        app = build_app(server)

        async def count() -> Any:
            for number in range(pieces):
                yield f"{number};"
                await asyncio.sleep(0.05)

        @app.get("/v1/stream")
        def stream() -> StreamingResponse:
            return StreamingResponse(count())

        @app.get("/v1/events")
        def events() -> EventSourceResponse:
            return EventSourceResponse(count())

        return app

    monkeypatch.setattr("tunewright.server.serving.build_app", made)


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/events"])
def test_a_running_answer_is_finished_before_the_end(
    server_with: Make, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    with_streams(monkeypatch, 10)
    server, beside = server_with(), Beside()
    web = web_server(server, patience=Patience(drain=5), beside=(beside,))
    with live(server, web=web) as running:
        connection = running.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        first = connection.recv(65536)
        assert b" 200 " in first
        running.end()
        time.sleep(0.2)
        assert server.is_ending
        assert beside.told == 1
        with pytest.raises(ConnectionRefusedError):
            running.send(b"")
        assert b"9;" in first + read(connection)
        running.thread.join(5)
    assert web.ended == "asked"


def test_an_answer_that_never_ends_is_cut_in_the_end(server_with: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with_streams(monkeypatch, 1000)
    server = server_with()
    with live(server, Patience(drain=1.0)) as running:
        connection = running.send(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(65536)
        began = time.monotonic()
        running.end()
        running.thread.join(6)
        assert not running.thread.is_alive()
        assert 0.9 < time.monotonic() - began < 5


def test_asked_twice_it_waits_for_nobody(server_with: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with_streams(monkeypatch, 1000)
    server = server_with()
    with live(server, Patience(drain=60)) as running:
        connection = running.send(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(65536)
        running.end()
        running.end()
        running.thread.join(3)
        assert not running.thread.is_alive()
    assert running.web.ended == "forced"


def certificate(folder: Path) -> Certificate:
    """A certificate for this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return Certificate(folder / "cert.pem", folder / "key.pem")


def test_it_speaks_tls(server_with: Make, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    tls.check()
    server = server_with(hosts=frozenset({"localhost"}))
    with live(server, web=web_server(server, tls=tls)) as running:
        trusting = ssl.create_default_context(cafile=str(tls.certificate))
        with httpx.Client(verify=trusting) as client:
            answer = client.get(f"https://localhost:{running.port}/healthz")
            assert answer.json() == {"status": "ok"}
            own = {"Origin": f"https://localhost:{running.port}"}
            assert client.get(f"https://localhost:{running.port}/healthz", headers=own).status_code == 200


def test_a_certificate_that_does_not_fit_is_refused_before_the_start(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with pytest.raises(InputError, match="cannot be used"):
        Certificate(tls.certificate, tls.certificate).check()
    with pytest.raises(InputError, match=r"absent\.pem"):
        Certificate(tls.certificate, tmp_path / "absent.pem").check()


class Models:
    """A fleet without models, and what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def start(self) -> None:
        self.done.append("start")

    def stop(self, drain_s: float) -> None:
        self.done.append(f"stop {drain_s}")

    def status(self) -> dict[str, Any]:
        return {"memory_bytes": 100, "used_bytes": 30, "models": []}


def test_serving_starts_models_and_stops_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.server.start.run_on", lambda web, listening: "asked")
    models, told = Models(), list[Address]()
    plan = Plan(Settings(port=0), has_worker=False, patience=Patience(drain=7))
    assert serve(Workspace.open(tmp_path), plan, started=told.append, fleet=models) == "asked"
    assert models.done == ["start", "stop 7"]
    (address,) = told
    assert address.url == f"http://127.0.0.1:{address.port}/v1"
    assert address.port > 0


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    models = Models()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        plan = Plan(Settings(port=taken.getsockname()[1]), has_worker=False)
        with pytest.raises(InputError, match="taken"):
            serve(Workspace.open(tmp_path), plan, started=lambda _: None, fleet=models)
    assert models.done == []
