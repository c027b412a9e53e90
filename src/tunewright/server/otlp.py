"""What was measured, sent to a collector by OTLP over HTTP: spans of answers, and the metrics of the conventions.

The packages are an extra (`otlp`), and are imported when a server is started with `--otlp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunewright import __version__
from tunewright.base.errors import InputError, MissingExtraError
from tunewright.server.watching import FIRST_TOKEN_S, PER_TOKEN_S, PROVIDER, REQUEST_S, TOKENS, Answered

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram

_EVERY_MS = 10_000
_END_MS = 5_000


class Exporter:
    """A listener of a `Watch`.

    Args:
        url: The collector's, such as http://localhost:4318; /v1/traces and /v1/metrics are put behind it.

    Raises:
        InputError: If that is no URL.
        MissingExtraError: If the packages are not installed.
    """

    def __init__(self, url: str, *, every_ms: int = _EVERY_MS) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError("This is no URL", where=f"--otlp {url}", hint="Such as http://localhost:4318.")
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingExtraError("opentelemetry-sdk", extra="otlp", needed_for="--otlp") from error
        place = url.rstrip("/")
        about = Resource.create({"service.name": "tunewright", "service.version": __version__})
        self._traces = TracerProvider(resource=about)
        self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{place}/v1/traces")))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{place}/v1/metrics"), export_interval_millis=every_ms
        )
        self._metrics = MeterProvider(resource=about, metric_readers=[reader])
        self._tracer = self._traces.get_tracer("tunewright.server", __version__)
        self._duration = self._histogram("server.request.duration", "s", REQUEST_S)
        self._first = self._histogram("server.time_to_first_token", "s", FIRST_TOKEN_S)
        self._per_token = self._histogram("server.time_per_output_token", "s", PER_TOKEN_S)
        self._usage = self._histogram("client.token.usage", "{token}", TOKENS)

    def __call__(self, answered: Answered) -> None:
        """Counts an answer that has ended, and makes its span."""
        self._count(answered)
        self._trace(answered)

    def end(self) -> None:
        """Sends what still waits."""
        self._traces.force_flush(_END_MS)
        self._traces.shutdown()
        self._metrics.shutdown(_END_MS)

    def _count(self, answered: Answered) -> None:
        labels = _labels(answered)
        self._duration.record(answered.duration_s, labels)
        if answered.first_token_s is not None:
            self._first.record(answered.first_token_s, labels)
        if answered.per_token_s is not None:
            self._per_token.record(answered.per_token_s, labels)
        for kind, tokens in (("input", answered.input_tokens), ("output", answered.output_tokens)):
            if tokens:
                self._usage.record(tokens, {**labels, "gen_ai.token.type": kind})

    def _trace(self, answered: Answered) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        span = self._tracer.start_span(
            f"{answered.operation} {answered.model}",
            context=TraceContextTextMapPropagator().extract({"traceparent": answered.traceparent}),
            kind=SpanKind.SERVER,
            attributes={
                **_labels(answered),
                "gen_ai.usage.input_tokens": answered.input_tokens,
                "gen_ai.usage.output_tokens": answered.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": answered.cached_tokens,
                "tunewright.request_id": answered.request_id,
            },
            start_time=answered.began_ns,
        )
        if answered.first_token_s is not None:
            span.add_event("gen_ai.first_token", timestamp=answered.began_ns + round(answered.first_token_s * 1e9))
        if answered.error:
            span.set_status(Status(StatusCode.ERROR, answered.error))
        span.end(answered.began_ns + round(answered.duration_s * 1e9))

    def _histogram(self, name: str, unit: str, buckets: Sequence[float]) -> Histogram:
        meter = self._metrics.get_meter("tunewright.server", __version__)
        return meter.create_histogram(f"gen_ai.{name}", unit=unit, explicit_bucket_boundaries_advisory=list(buckets))


def _labels(answered: Answered) -> dict[str, Any]:
    labels = {
        "gen_ai.operation.name": answered.operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": answered.model,
    }
    return labels | ({"error.type": answered.error} if answered.error else {})
