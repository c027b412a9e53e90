"""Asking an endpoint that fails, stalls and dies."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import Dies, Fails, Says, Script, Server, Stalls, serving
from tunewright.base.errors import EndpointError, InputError, RequestRefusedError
from tunewright.endpoints import Client, Endpoint, Refused, Reply, Request, Usage
from tunewright.endpoints import client as module

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.01)


def _client(server: Server, cache: Path | None = None, **settings: Any) -> Client:
    return Client(Endpoint.of(url=server.url, model="m", **settings), cache, environment={})


def _first(*answers: Any) -> Script:
    """These answers one after the other; the last for ever."""
    left = list(answers)
    lock = threading.Lock()

    def answer(body: dict[str, Any]) -> Any:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer


def _requests(count: int) -> Iterator[Request]:
    return (Request(({"role": "user", "content": f"question {index}"},)) for index in range(count))


def _echo(body: dict[str, Any]) -> str:
    return f"re: {body['messages'][-1]['content']}"


def test_a_question_is_asked_as_the_api_takes_it() -> None:
    with serving(_echo) as server, _client(server) as client:
        reply = client.chat(HELLO, temperature=0.5, max_tokens=7, seed=3, wants_json=True)
        assert reply == Reply("re: Hello", "stop", 10, 5)
        assert server.asked == [
            {
                "model": "m",
                "messages": HELLO,
                "max_tokens": 7,
                "temperature": 0.5,
                "seed": 3,
                "response_format": {"type": "json_object"},
            }
        ]
        assert server.keys == [None]
        client.chat(HELLO, temperature=None)
        assert server.asked[1].keys() == {"model", "messages", "max_tokens"}
        assert client.usage == Usage(requests=2, prompt_tokens=20, completion_tokens=10)


@pytest.mark.parametrize(
    "trouble",
    [Fails(429), Fails(500), Fails(503), Dies(), Stalls(1.5), Says(b"<html>"), Says(b'{"choices": []}')],
    ids=repr,
)
def test_what_may_pass_is_tried_again(trouble: Any) -> None:
    timeout_s = 0.8 if isinstance(trouble, Stalls) else 30
    with serving(_first(trouble, trouble, "fine")) as server, _client(server, timeout_s=timeout_s) as client:
        assert client.chat(HELLO).text == "fine"
        assert len(server.asked) == 3
        assert client.usage == Usage(requests=1, retries=2, prompt_tokens=10, completion_tokens=5)


def test_an_answer_that_trickles_ends_at_the_time_limit() -> None:
    with serving(lambda body: Stalls(5, trickles=True)) as server, _client(server, timeout_s=0.3, attempts=1) as client:
        started = time.monotonic()
        with pytest.raises(EndpointError, match=r"did not finish its answer within 0.3 s"):
            client.chat(HELLO)
        assert time.monotonic() - started < 2


def test_an_endless_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.endpoints.wire._LARGEST_ANSWER_BYTES", 1 << 20)
    with serving(lambda body: Says(b" " * (3 << 20))) as server, _client(server) as client:
        with pytest.raises(EndpointError, match="longer than 1 MiB"):
            client.chat(HELLO)
        assert len(server.asked) == 1


def test_a_dead_endpoint_is_given_up_and_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with Client(Endpoint.of(url=url, model="m", attempts=3), environment={}) as client:
        with pytest.raises(EndpointError, match=r"cannot be reached .* 3 times in a row") as caught:
            client.chat(HELLO)
        assert caught.value.where == url
        assert caught.value.exit_code == 2
        assert client.usage.retries == 2


def test_the_endpoint_says_how_long_to_wait() -> None:
    slow = Fails(429, headers=(("Retry-After", "0.2"),))
    with serving(_first(slow, "fine")) as server, _client(server) as client:
        started = time.monotonic()
        assert client.chat(HELLO).text == "fine"
        assert time.monotonic() - started >= 0.2
    tomorrow = Fails(429, headers=(("Retry-After", "86400"),))
    with serving(lambda body: tomorrow) as server, _client(server) as client:
        with pytest.raises(EndpointError, match="asks to wait 86,400 s"):
            client.chat(HELLO)
        assert len(server.asked) == 1


def test_a_date_to_wait_for_is_read() -> None:
    from tunewright.endpoints.wire import _seconds

    assert _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _seconds("3") == 3
    assert _seconds("soon") is None


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Fails(401, "bad key"), EndpointError, "refuses the key"),
        (Fails(404, "no such model"), EndpointError, "no such model"),
        (Fails(429, "insufficient_quota"), EndpointError, "spent"),
        (Fails(302, "x", (("Location", "http://elsewhere/"),)), EndpointError, "moved to http://elsewhere/"),
        (Fails(400, "context too long"), RequestRefusedError, "context too long"),
    ],
)
def test_what_will_not_pass_is_asked_once(answer: Fails, error: type[EndpointError], said: str) -> None:
    with serving(lambda body: answer) as server, _client(server) as client:
        with pytest.raises(error, match=said) as caught:
            client.chat(HELLO)
        assert type(caught.value) is error
        assert len(server.asked) == 1


def test_the_newer_name_of_the_limit_is_taken_up() -> None:
    def script(body: dict[str, Any]) -> Any:
        return Fails(400, "use max_completion_tokens") if "max_tokens" in body else str(body["max_completion_tokens"])

    with serving(script) as server, _client(server) as client:
        assert client.chat(HELLO, max_tokens=9).text == "9"
        assert client.chat(HELLO, max_tokens=8).text == "8"
        assert len(server.asked) == 3


def test_answers_are_kept_and_cost_nothing_the_second_time(tmp_path: Path) -> None:
    with serving(_echo) as server:
        with _client(server, tmp_path) as client:
            first = client.chat(HELLO)
            assert client.chat(HELLO, seed=1).cached is False
            assert client.chat(HELLO, temperature=0.5).cached is False
        with _client(server, tmp_path) as client:
            again = client.chat(HELLO)
            assert (again.text, again.cached, first.cached) == ("re: Hello", True, False)
            assert client.usage == Usage(cached=1)
        assert len(server.asked) == 3
        for file in tmp_path.rglob("*.json"):
            file.write_text('{"text": "re')
        with _client(server, tmp_path) as client:
            assert client.chat(HELLO) == first
            assert client.chat(HELLO).cached


def test_answers_come_in_order_and_so_many_at_a_time() -> None:
    def script(body: dict[str, Any]) -> str:
        time.sleep(0.05 if body["messages"][-1]["content"].endswith("0") else 0.01)
        return _echo(body)

    with serving(script) as server, _client(server, concurrency=3) as client:
        replies = list(client.chat_each(_requests(20)))
        assert [reply.text for reply in replies if isinstance(reply, Reply)] == [
            f"re: question {index}" for index in range(20)
        ]
        assert 2 <= server.most_at_once <= 3


def test_one_refused_request_does_not_stop_the_others() -> None:
    def script(body: dict[str, Any]) -> Any:
        return Fails(400, "not this") if body["messages"][-1]["content"].endswith("3") else _echo(body)

    with serving(script) as server, _client(server) as client:
        replies = list(client.chat_each(_requests(5)))
        assert [isinstance(reply, Refused) for reply in replies] == [False, False, False, True, False]
        assert replies[3] == Refused("The endpoint refuses this request (status 400): not this")


def test_it_goes_on_where_the_endpoint_died(tmp_path: Path) -> None:
    is_alive = True

    def script(body: dict[str, Any]) -> Any:
        late = int(body["messages"][-1]["content"].split()[1]) >= 6
        return Dies() if late and not is_alive else _echo(body)

    with serving(script) as server:
        is_alive = False
        with _client(server, tmp_path, attempts=2) as client:
            given = client.chat_each(_requests(10))
            got = [next(given) for _ in range(6)]
            with pytest.raises(EndpointError, match="broke off in its answer"):
                next(given)
        assert len(got) == 6
        while any(thread.name == "endpoint" for thread in threading.enumerate()):
            time.sleep(0.01)  # what is still under way belongs to the dead endpoint
        is_alive = True
        server.asked.clear()
        with _client(server, tmp_path) as client:
            assert [reply.cached for reply in client.chat_each(_requests(10)) if isinstance(reply, Reply)] == (
                [True] * 6 + [False] * 4
            )
        assert set(server.users) == {f"question {number}" for number in range(6, 10)}


def test_what_is_not_taken_is_not_asked() -> None:
    with serving(_echo) as server, _client(server, concurrency=2) as client:
        given = client.chat_each(_requests(1000))
        next(given)
        given.close()  # type: ignore[attr-defined]
        time.sleep(0.05)
        assert len(server.asked) <= 5


def test_the_budget_is_kept() -> None:
    # A request sets aside 3 + 100 tokens and costs 15.
    with serving(_echo) as server, _client(server, token_budget=160, concurrency=4) as client:
        requests = (Request(({"role": "user", "content": f"question {index}"},), max_tokens=100) for index in range(50))
        got: list[Any] = []
        with pytest.raises(EndpointError, match=r"budget of 160 tokens is spent: 60 were used") as caught:
            got.extend(client.chat_each(requests))
        assert "may take 103" in str(caught.value)
        assert len(server.asked) == 4
        assert client.usage.tokens == 60 <= 160


def test_tokens_are_estimated_where_the_endpoint_does_not_count() -> None:
    with serving(lambda body: "x" * 40, usage=False) as server, _client(server) as client:
        reply = client.chat([{"role": "user", "content": "y" * 80}])
        assert (reply.prompt_tokens, reply.completion_tokens) == (20, 10)


def test_the_key_is_sent_and_never_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    secret = "sk-very-secret-1234"
    with serving(_first(Fails(401, f"wrong key {secret}"), "fine")) as server:
        endpoint = Endpoint.of(url=server.url, model="m", key_variable="MY_KEY")
        with Client(endpoint, tmp_path, environment={"MY_KEY": secret}) as client:
            with caplog.at_level("DEBUG"), pytest.raises(EndpointError) as caught:
                client.chat(HELLO)
            assert "wrong key [key]" in str(caught.value)
            client.chat(HELLO)
        assert server.keys == [f"Bearer {secret}"] * 2
        assert secret not in f"{caught.value!r} {client!r} {endpoint!r} {caplog.text}"
        assert all(secret not in file.read_text() for file in tmp_path.rglob("*.json"))


def test_a_key_leaves_this_machine_encrypted_only() -> None:
    environment = {"OPENAI_API_KEY": "k", "OTHER": "o"}

    def key(url: str, variable: str = "") -> str:
        return Endpoint.of(url=url, model="m", key_variable=variable).key(environment)

    assert key("https://api.openai.com/v1") == "k"
    assert key("http://127.0.0.1:8000/v1") == "k"
    assert key("http://localhost:8000/v1") == "k"
    assert key("http://10.0.0.5:8000/v1") == ""
    assert key("http://example.com/v1") == ""
    assert key("http://10.0.0.5:8000/v1", "OTHER") == "o"
    with pytest.raises(InputError, match="MISSING should hold"):
        key("https://api.openai.com/v1", "MISSING")


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "localhost:8000", "http://", "https://me:pw@host/v1", "https://h/v1?key=1", "http://h:99999/"]
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="endpoint's url is wrong"):
        Endpoint.of(url=url, model="m")


def test_a_url_is_made_plain() -> None:
    assert Endpoint.of(url=" http://h/v1/ ", model="m").url == "http://h/v1"
    assert Endpoint.of(url="http://h/v1/chat/completions", model="m").url == "http://h/v1"
    with pytest.raises(InputError, match="model"):
        Endpoint.of(url="http://h/v1", model="")


def _ask_in_a_process(url: str, folder: str) -> None:
    with Client(Endpoint.of(url=url, model="m"), Path(folder), environment={}) as client:
        texts = [reply.text for reply in client.chat_each(_requests(8)) if isinstance(reply, Reply)]
    assert texts == [f"re: question {index}" for index in range(8)]


def test_several_processes_share_one_cache(tmp_path: Path) -> None:
    with serving(_echo) as server:
        start: Callable[..., Any] = multiprocessing.get_context("spawn").Process
        processes = [start(target=_ask_in_a_process, args=(server.url, str(tmp_path))) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        files = list(tmp_path.rglob("*.json"))
        assert len(files) == 8
        assert {json.loads(file.read_text())["text"] for file in files} == {f"re: question {i}" for i in range(8)}
