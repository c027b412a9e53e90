"""What is measured of answers, under the names of OpenTelemetry's conventions."""

from __future__ import annotations

import pytest

from tunewright.server.watching import Answered, Noted, Watch, noted

LABELS = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "tunewright", "gen_ai_request_model": "tiny"}


def value(watch: Watch, name: str, **labels: str) -> float | None:
    return watch.registry.get_sample_value(name, labels)


def test_an_answer_is_measured_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    watch, heard = Watch(), list[Answered]()
    watch.listeners.append(heard.append)
    asked = watch.begin("chat", "tiny")
    assert value(watch, "tunewright_answers_under_way", gen_ai_operation_name="chat") == 1
    now = 10.5
    asked.first_token()
    now = 11.7
    asked.first_token()  # later ones are no first
    asked.finished(input_tokens=30, output_tokens=13, cached_tokens=8)
    asked.finished(input_tokens=99, error="ignored")
    assert value(watch, "tunewright_answers_under_way", gen_ai_operation_name="chat") == 0
    (answered,) = heard
    assert (answered.duration_s, answered.first_token_s) == (pytest.approx(1.7), pytest.approx(0.5))
    assert answered.per_token_s == pytest.approx(0.1)  # 1.2 s for the twelve tokens after the first
    assert (answered.input_tokens, answered.output_tokens, answered.cached_tokens) == (30, 13, 8)
    for name, seconds in (("request_duration", 1.7), ("time_to_first_token", 0.5), ("time_per_output_token", 0.1)):
        full = f"gen_ai_server_{name}_seconds"
        assert value(watch, f"{full}_sum", error_type="", **LABELS) == pytest.approx(seconds)
        assert value(watch, f"{full}_count", error_type="", **LABELS) == 1
    for kind, tokens in (("input", 30), ("output", 13)):
        assert value(watch, "gen_ai_client_token_usage_sum", gen_ai_token_type=kind, **LABELS) == tokens
    assert value(watch, "gen_ai_server_request_duration_seconds_bucket", error_type="", le="1.28", **LABELS) == 0
    assert value(watch, "gen_ai_server_request_duration_seconds_bucket", error_type="", le="2.56", **LABELS) == 1


def test_a_fault_is_counted_by_its_kind() -> None:
    watch = Watch()
    with pytest.raises(KeyError), watch.begin("chat", "tiny"):
        raise KeyError("what a client wrote")
    assert value(watch, "gen_ai_server_request_duration_seconds_count", error_type="KeyError", **LABELS) == 1


def test_it_notes_what_the_request_s_log_line_says() -> None:
    watch, request = Watch(), Noted(request_id="req_1", key="key-1")
    token = noted.set(request)
    asked = watch.begin("embeddings", "minilm")
    noted.reset(token)
    asked.finished(input_tokens=4)
    assert (request.operation, request.model, request.input_tokens) == ("embeddings", "minilm", 4)
    watch.begin("chat", "outside").finished(input_tokens=1)  # outside of a request nothing is noted
    assert noted.get() == Noted()


def test_made_up_names_do_not_fill_the_memory() -> None:
    watch = Watch()
    for number in range(300):
        watch.begin("chat", f"model-{number}").finished()
    name = "gen_ai_server_request_duration_seconds_count"
    assert value(watch, name, error_type="", **(LABELS | {"gen_ai_request_model": "_OTHER"})) == 300 - 256
