"""What is measured of answers: how long they take, when their first token comes, how many tokens they are.

Metrics bear the names of OpenTelemetry's conventions for generative AI, in Prometheus' form, with the buckets that the
conventions ask for (opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics). Whoever else wants to hear of answers
(rate limits, OTLP) is a listener: a function of one `Answered`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from prometheus_client import CollectorRegistry, Gauge, Histogram

Operation = Literal["chat", "text_completion", "embeddings"]

PROVIDER = "tunewright"
REQUEST_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
PER_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS = tuple(4**power for power in range(14))

# Each model is a time series of its own; names beyond these are counted as one, so that nobody can fill the memory.
_MOST_MODELS = 256
_OTHER = "_OTHER"
_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


@dataclass
class Noted:
    """What is known of the request that is being answered; the log's line is written from it.

    Args:
        request_id: The number that the client is told.
        key: The id of the key it came with; empty without one.
        model: Which model answered; empty where none was asked.
        traceparent: The client's own trace (W3C), for spans.
    """

    request_id: str = ""
    key: str = ""
    operation: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    traceparent: str = ""


# Of the request whose task or thread this is; handlers that run in threads see the same object.
noted: ContextVar[Noted] = ContextVar("noted", default=Noted())  # noqa: B039 - outside of requests, and never changed


@dataclass(frozen=True)
class Answered:
    """An answer that has ended.

    Args:
        key: The id of the key that asked.
        began_ns: When, in nanoseconds of the system's clock.
        duration_s: From the request to the answer's end.
        first_token_s: From the request to the first token; None where none came.
        error: The kind of fault that ended it; empty where it was answered.
    """

    operation: Operation
    model: str
    request_id: str
    key: str
    traceparent: str
    began_ns: int
    duration_s: float
    first_token_s: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    error: str

    @property
    def per_token_s(self) -> float | None:
        """Seconds for each token after the first one; None where there is no second."""
        if self.first_token_s is None or self.output_tokens < 2:
            return None
        return (self.duration_s - self.first_token_s) / (self.output_tokens - 1)


class Asked:
    """One answer while it is under way. May be told from any thread.

    As a context manager it is finished at the block's end, with the fault that left the block as its error.
    """

    def __init__(self, watch: Watch, operation: Operation, model: str, request: Noted) -> None:
        self._watch, self._operation, self._model, self._request = watch, operation, model, request
        self._began_ns, self._began_s = time.time_ns(), time.monotonic()
        self._first_s: float | None = None
        self._is_finished = False
        self._guard = threading.Lock()

    def first_token(self) -> None:
        """The first token is there; later calls change nothing."""
        if self._first_s is None:
            self._first_s = time.monotonic() - self._began_s

    def finished(
        self,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        error: BaseException | str = "",
    ) -> None:
        """The answer has ended; only the first call counts, so that a `finally` may call it once more.

        Args:
            cached_tokens: How many of the input's tokens had been read before.
            error: What ended it; "cancelled" where the client hung up.
        """
        with self._guard:
            if self._is_finished:
                return
            self._is_finished = True
        request = self._request
        if request.request_id:
            request.input_tokens += input_tokens
            request.output_tokens += output_tokens
        answered = Answered(
            operation=self._operation,
            model=self._model,
            request_id=request.request_id,
            key=request.key,
            traceparent=request.traceparent,
            began_ns=self._began_ns,
            duration_s=time.monotonic() - self._began_s,
            first_token_s=self._first_s,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            error=error if isinstance(error, str) else type(error).__name__,
        )
        self._watch.hear(answered)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.finished(error=error or "")


Listener = Callable[[Answered], None]


class Watch:
    """The server's instruments. One registry for each server, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.listeners: list[Listener] = []
        self._models: set[str] = set()
        self._guard = threading.Lock()
        self._duration = self._histogram("server_request_duration_seconds", "From request to last token.", REQUEST_S)
        self._first = self._histogram("server_time_to_first_token_seconds", "From request to first.", FIRST_TOKEN_S)
        self._per_token = self._histogram("server_time_per_output_token_seconds", "After the first.", PER_TOKEN_S)
        self._usage = self._histogram("client_token_usage", "Tokens read and written.", TOKENS, "gen_ai_token_type")
        self._under_way = Gauge(
            "tunewright_answers_under_way", "Answers that are being written.", _LABELS[:1], registry=self.registry
        )
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Every request, whatever it asked for.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=REQUEST_S,
            registry=self.registry,
        )

    def begin(self, operation: Operation, model: str) -> Asked:
        """An answer begins. To be called with a name that is served, and not with any that a client sends."""
        request = noted.get()
        if request.request_id:
            request.operation, request.model = operation, model
        self._under_way.labels(operation).inc()
        return Asked(self, operation, model, request)

    def hear(self, answered: Answered) -> None:
        """An answer has ended: counts it, and tells the listeners."""
        self._under_way.labels(answered.operation).dec()
        names = (answered.operation, PROVIDER, self._counted_as(answered.model))
        self._duration.labels(*names, answered.error).observe(answered.duration_s)
        if answered.first_token_s is not None:
            self._first.labels(*names, answered.error).observe(answered.first_token_s)
        if answered.per_token_s is not None:
            self._per_token.labels(*names, answered.error).observe(answered.per_token_s)
        if answered.input_tokens:
            self._usage.labels(*names, "input").observe(answered.input_tokens)
        if answered.output_tokens:
            self._usage.labels(*names, "output").observe(answered.output_tokens)
        for listener in self.listeners:
            listener(answered)

    def request_ended(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request has been answered to its end.

        Args:
            route: Its pattern, such as `/v1/files/{id}`; empty where none matched.
        """
        self._requests.labels(method, route, str(status)).observe(duration_s)

    def _counted_as(self, model: str) -> str:
        with self._guard:
            if model not in self._models and len(self._models) >= _MOST_MODELS:
                return _OTHER
            self._models.add(model)
        return model

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], label: str = "error_type") -> Histogram:
        return Histogram(f"gen_ai_{name}", about, (*_LABELS, label), buckets=buckets, registry=self.registry)
