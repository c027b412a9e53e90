"""Bodies of requests about evals and their runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunewright.evaluate.graders import Message
from tunewright.server.wire.metadata import Metadata, Sent


class CustomConfig(Sent):
    """Rows of a schema of the client's own."""

    type: Literal["custom"]
    item_schema: dict[str, Any]
    include_sample_schema: bool = False


class LogsConfig(Sent):
    """Answers that were logged."""

    type: Literal["logs", "stored_completions"]
    metadata: Metadata | None = None


class EvalCreate(Sent):
    """`POST /v1/evals`."""

    data_source_config: Annotated[CustomConfig | LogsConfig, Field(discriminator="type")]
    testing_criteria: list[dict[str, Any]] = Field(min_length=1, max_length=64)
    metadata: Metadata | None = None
    name: str | None = Field(None, max_length=256)


class EvalUpdate(Sent):
    """`POST /v1/evals/{eval_id}`."""

    metadata: Metadata | None = None
    name: str | None = Field(None, max_length=256)


class Row(Sent):
    """A row: what is asked about, and what was answered where that is known."""

    item: dict[str, Any]
    sample: dict[str, Any] | None = None


class FileContent(Sent):
    """Rows in the request itself."""

    type: Literal["file_content"]
    content: list[Row] = Field(min_length=1)


class FileId(Sent):
    """Rows in a file that was uploaded."""

    type: Literal["file_id"]
    id: str = Field(min_length=1, max_length=256)


class StoredCompletions(Sent):
    """Chat completions of this server that were asked for with `store`."""

    type: Literal["stored_completions"]
    created_after: int | None = None
    created_before: int | None = None
    limit: int | None = Field(None, ge=1)
    metadata: Metadata | None = None
    model: str | None = Field(None, max_length=256)


class StoredResponses(BaseModel):
    """Responses that a service has kept; all filters are taken, since the source itself cannot be served."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["responses"]


class Template(Sent):
    """Messages with places for the row's fields."""

    type: Literal["template"]
    template: list[Message] = Field(min_length=1)


class ItemReference(Sent):
    """A field of the row that holds messages."""

    type: Literal["item_reference"]
    item_reference: str = Field(min_length=1, max_length=512)


class CompletionsSampling(Sent):
    """How answers are drawn."""

    max_completion_tokens: int | None = Field(None, ge=1)
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    top_p: float | None = Field(None, gt=0, le=1)


class ResponsesText(Sent):
    """What an answer's text must be."""

    format: dict[str, Any] | None = None


class ResponsesSampling(Sent):
    """How answers are drawn, in the words of the responses API."""

    max_completion_tokens: int | None = Field(None, ge=1)
    reasoning_effort: str | None = None
    seed: int | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    text: ResponsesText | None = None
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    top_p: float | None = Field(None, gt=0, le=1)


InputMessages = Annotated[Template | ItemReference, Field(discriminator="type")]


class Jsonl(Sent):
    """Rows, with what was answered to them."""

    type: Literal["jsonl"]
    source: Annotated[FileContent | FileId, Field(discriminator="type")]


class Completions(Sent):
    """Rows that a model of this server answers."""

    type: Literal["completions"]
    source: Annotated[FileContent | FileId | StoredCompletions, Field(discriminator="type")]
    input_messages: InputMessages | None = None
    model: str | None = Field(None, max_length=256)
    sampling_params: CompletionsSampling | None = None


class Responses(Sent):
    """The same, in the words of the responses API."""

    type: Literal["responses"]
    source: Annotated[FileContent | FileId | StoredResponses, Field(discriminator="type")]
    input_messages: InputMessages | None = None
    model: str | None = Field(None, max_length=256)
    sampling_params: ResponsesSampling | None = None


class RunCreate(Sent):
    """`POST /v1/evals/{eval_id}/runs`."""

    data_source: Annotated[Jsonl | Completions | Responses, Field(discriminator="type")]
    metadata: Metadata | None = None
    name: str | None = Field(None, max_length=256)
