"""Bodies of requests about batches."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunewright.server.wire.metadata import Metadata, Sent

Endpoint = Literal[
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
]


class OutputExpiresAfter(Sent):
    """When the files with results are removed."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


class BatchCreate(Sent):
    """`POST /v1/batches`. An endpoint that is not served fails in validating, as a wrong file does."""

    completion_window: Literal["24h"]
    endpoint: Endpoint
    input_file_id: str = Field(min_length=1, max_length=256)
    metadata: Metadata | None = None
    output_expires_after: OutputExpiresAfter | None = None
