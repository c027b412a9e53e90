"""Spans and metrics arrive at a collector, under the conventions' names."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tunewright.base.errors import InputError, MissingExtraError
from tunewright.server.otlp import Exporter
from tunewright.server.watching import Noted, Watch, noted

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """What a collector was sent, by path."""

    def __init__(self) -> None:
        self.sent: dict[str, bytes] = {}
        sent = self.sent

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                sent[self.path] = sent.get(self.path, b"") + (gzip.decompress(data) if is_packed else data)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: tests are silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_an_answer_becomes_a_span_and_numbers(collector: Collector) -> None:
    watch, exporter = Watch(), Exporter(collector.url)
    watch.listeners.append(exporter)
    token = noted.set(Noted("req_1", "key-1", traceparent=TRACE))
    asked = watch.begin("chat", "tiny")
    noted.reset(token)
    asked.first_token()
    asked.finished(input_tokens=30, output_tokens=12, error="cancelled")
    exporter.end()

    spans = ExportTraceServiceRequest.FromString(collector.sent["/v1/traces"])
    (span,) = spans.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (
        "chat tiny",
        TRACE.split("-")[1],
        TRACE.split("-")[2],
    )
    values = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
    assert values["gen_ai.operation.name"] == "chat"
    assert values["gen_ai.usage.input_tokens"] == 30
    assert values["error.type"] == "cancelled"
    assert span.end_time_unix_nano >= span.start_time_unix_nano

    metrics = ExportMetricsServiceRequest.FromString(collector.sent["/v1/metrics"])
    found = {each.name: each for each in metrics.resource_metrics[0].scope_metrics[0].metrics}
    assert set(found) == {
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.client.token.usage",
    }
    usage = found["gen_ai.client.token.usage"]
    assert usage.unit == "{token}"
    points = {each.value.string_value: p.sum for p in usage.histogram.data_points for each in p.attributes[-1:]}
    assert points == {"input": 30.0, "output": 12.0}
    assert list(usage.histogram.data_points[0].explicit_bounds)[:3] == [1.0, 4.0, 16.0]


def test_what_is_no_url_and_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no URL"):
        Exporter("localhost:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtraError, match=r"tunewright\[otlp\]"):
        Exporter("http://localhost:4318")
