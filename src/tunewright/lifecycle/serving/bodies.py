"""What requests say: the bodies of chat completions, completions and embeddings, as OpenAI's API takes them.

Types are strict, and fields that are not known are accepted and ignored: OpenAI adds some every few weeks. What each
field does stands in `docs/serving.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunewright.base.errors import InputError

_TYPE = re.compile(r"(bool|float|int|str|list|dict|function-\w+)(\[.*\])?", re.DOTALL)

Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]
Stops = str | list[str]

MOST_STOPS, MOST_TOP, MOST_SAMPLES, MOST_INPUTS = 4, 20, 128, 2048


class Body(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    #: Fields that are taken, and mean nothing here.
    IGNORED: ClassVar[frozenset[str]] = frozenset({"user"})

    model: str = Field(min_length=1, max_length=256)
    user: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, given: Any) -> Any:
        """Refuses what JSON can say and no text can hold, before a tokenizer meets it."""
        if any(not _is_sendable(text) for text in _texts(given)):
            raise ValueError("a text holds half a surrogate pair")
        return given

    def ignored(self) -> list[str]:
        """Names of the fields that the request has set, and that change nothing here."""
        return sorted(name for name in self.model_fields_set & self.IGNORED if getattr(self, name) is not None)


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Drawn(Body):
    """How answers are drawn: what chat completions and completions have in common."""

    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, ge=0.01, le=100, description="Not OpenAI's: as in transformers.")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=1, description="Not OpenAI's: only the so many most probable tokens.")
    min_p: float | None = Field(None, ge=0, le=1, description="Not OpenAI's: as a share of the most probable token.")
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: Stops | None = None
    n: int | None = Field(None, ge=1, le=MOST_SAMPLES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def samples(self) -> int:
        """Answers that are asked for."""
        return self.n or 1

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer.

        Raises:
            InputError: If there are too many, or one is empty.
        """
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(given) > MOST_STOPS:
            raise InputError(f"{len(given)} stop texts are given, and {MOST_STOPS} are the most", where="stop")
        if "" in given:
            raise InputError("A stop text is empty", where="stop", hint="Leave it out.")
        return tuple(given)

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatMessage(BaseModel):
    """One message of a conversation; how its content is read depends on its role (`rendering`)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None


class ResponseFormat(BaseModel):
    """`response_format`."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class ChatBody(Drawn):
    """`POST /v1/chat/completions`."""

    IGNORED = frozenset(
        {
            "audio",
            "moderation",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning_effort",
            "safety_identifier",
            "service_tier",
            "user",
            "verbosity",
            "web_search_options",
        }
    )

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=0)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP)
    response_format: ResponseFormat | None = None
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = Field(None, max_length=128)
    function_call: str | dict[str, Any] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    store: bool | None = None
    metadata: Metadata | None = Field(None, max_length=16)

    audio: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def limit(self) -> int | None:
        """Most tokens of an answer; the newer field goes before the older. None: as many as there is room for."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionBody(Drawn):
    """`POST /v1/completions`."""

    prompt: str | list[str] | list[int] | list[list[int]] | None = None
    max_tokens: int | None = Field(None, ge=0)
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=MOST_TOP)
    best_of: int | None = Field(None, ge=0, le=MOST_SAMPLES)
    suffix: str | None = None


class EmbeddingBody(Body):
    """`POST /v1/embeddings`."""

    input: str | list[str] | list[int] | list[list[int]]
    dimensions: int | None = Field(None, ge=1)
    encoding_format: Literal["float", "base64"] | None = None


AnyBody = TypeVar("AnyBody", bound=Body)


def read_body(kind: type[AnyBody], given: AnyBody | Mapping[str, Any]) -> AnyBody:
    """A body, checked.

    Raises:
        InputError: If a field is wrong; `where` is its place, as in `messages[0].role`.
    """
    if isinstance(given, kind):
        return given
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"Invalid value: {first['msg']}", where=place_of(first["loc"])) from None


def place_of(location: tuple[int | str, ...]) -> str:
    """A fault's place as OpenAI's API writes it: `messages[0].role` of ("messages", 0, "role").

    What pydantic adds to say which of several types was tried, such as `list[str]`, is no field and left out.
    """
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _TYPE.fullmatch(part):
            text += f".{part}" if text else part
    return text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _is_sendable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
