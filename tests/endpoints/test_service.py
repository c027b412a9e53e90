"""A server at the command line's other end: what is sent to it, and what its faults become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tunewright.base.errors import EndpointError, InputError, RequestRefusedError
from tunewright.base.streamed import StreamedLines
from tunewright.endpoints import service as module
from tunewright.endpoints.service import Ending, Service

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.001)


def _service(answer: Answer, url: str = "http://127.0.0.1:8000", **environment: str) -> Service:
    return Service(url, environment=environment, transport=httpx.MockTransport(answer))


def _stream(*events: str) -> Answer:
    return lambda _: httpx.Response(200, text="".join(f"data: {event}\n\n" for event in events))


def _chunk(**delta: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


_STOP = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def test_an_answer_may_hold_what_other_readers_take_for_the_end_of_a_line() -> None:
    odd = "a\x0bb\x1cc\x85d\u2028e"
    chunk = {"choices": [{"index": 0, "delta": {"content": odd}, "finish_reason": None}]}
    with _service(_stream(json.dumps(chunk, ensure_ascii=False), _STOP, "[DONE]")) as service:
        assert next(iter(service.chat("m", []))) == odd


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "StreamedLines", lambda: StreamedLines(50))
    with (
        _service(_stream(_chunk(content="x" * 60))) as service,
        pytest.raises(EndpointError, match="longer than 50 bytes"),
    ):
        list(service.chat("m", []))


def test_names_with_slashes_and_colons_are_sent_as_the_api_takes_them() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(200, json={"id": "x"})

    with _service(answer) as service:
        service.get("models", "org/model")
        service.get("models", "ft:base:org:x:1", limit=2, after=None)
    assert asked == [b"/v1/models/org%2Fmodel", b"/v1/models/ft:base:org:x:1?limit=2"]


def test_a_list_is_read_page_by_page() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        first = 0 if (after := request.url.params.get("after")) is None else int(after) + 1
        return httpx.Response(
            200, json={"data": [{"id": str(first)}, {"id": str(first + 1)}], "has_more": first + 1 < 5}
        )

    with _service(answer) as service:
        assert [each["id"] for each in service.pages("models")] == list("012345")


@pytest.mark.parametrize(
    ("url", "environment", "sent"),
    [
        ("http://127.0.0.1:1", {"OPENAI_API_KEY": "sk-1"}, "Bearer sk-1"),
        ("https://there:1/v1", {"OPENAI_API_KEY": "sk-1"}, "Bearer sk-1"),
        ("http://there:1", {"OPENAI_API_KEY": "sk-1"}, None),  # it would cross the network for all to read
        ("http://there:1", {"OPENAI_API_KEY": "sk-1", "TUNEWRIGHT_API_KEY": "tw-1"}, "Bearer tw-1"),
        ("http://127.0.0.1:1", {}, None),
    ],
)
def test_the_key_goes_only_where_it_belongs(url: str, environment: dict[str, str], sent: str | None) -> None:
    keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("authorization"))
        return httpx.Response(200, json={})

    with _service(answer, url, **environment) as service:
        service.get("models")
    assert keys == [sent]


def test_reading_is_tried_again_and_doing_is_not() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) < 3:
            return httpx.Response(503, json={"error": {"message": "not yet"}})
        return httpx.Response(200, json={"id": "x"})

    with _service(answer) as service:
        assert service.get("models") == {"id": "x"}
        assert asked == ["GET"] * 3
        asked.clear()
        with pytest.raises(EndpointError, match="not yet"):
            service.post("fine_tuning", "jobs", body={})
    assert asked == ["POST"]


def test_a_server_that_is_not_there_is_said_with_what_to_do() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with _service(answer) as service:
        for ask in (lambda: service.get("models"), lambda: list(service.chat("m", []))):
            with pytest.raises(EndpointError, match=r"cannot be reached.*tunewright serve"):
                ask()


def test_a_refusal_says_what_the_server_said_without_the_key() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": {"message": "The key tw-secret lacks a 'model'"}})

    with _service(answer, TUNEWRIGHT_API_KEY="tw-secret") as service, pytest.raises(RequestRefusedError) as told:
        list(service.chat("m", []))
    assert "lacks a 'model'" in str(told.value)
    assert "tw-secret" not in str(told.value)


def test_an_answer_comes_in_pieces_and_says_why_it_ended() -> None:
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}})
    events = [_chunk(role="assistant", content=""), _chunk(content="Hel"), _chunk(content="lo"), _STOP, usage, "[DONE]"]
    with _service(_stream(*events)) as service:
        assert list(service.chat("m", [])) == ["Hel", "lo", Ending("stop", 4, 2)]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([_chunk(content="Hel")], "broke off before its end"),
        ([_chunk(content="Hel"), json.dumps({"error": {"message": "out of memory"}})], "out of memory"),
        ([_chunk(content="Hel"), "<html>"], "no JSON object"),
    ],
)
def test_an_answer_that_breaks_off_is_an_error(events: list[str], said: str) -> None:
    with _service(_stream(*events)) as service, pytest.raises(EndpointError, match=said):
        list(service.chat("m", []))


def test_a_file_is_sent_with_its_name_and_purpose(tmp_path: Path) -> None:
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.read())
        return httpx.Response(200, json={"id": "file-1"})

    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"messages": []}\n')
    with _service(answer) as service:
        assert service.upload(rows, purpose="fine-tune") == {"id": "file-1"}
    assert b'filename="rows.jsonl"' in sent[0]
    assert b'{"messages": []}\n' in sent[0]
    assert b"fine-tune" in sent[0]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no http or https URL"):
        Service("there", environment={})
