"""Asking a model for a verdict: messages of templates, and an answer that keeps to a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tunewright.base.errors import TunewrightError
from tunewright.evaluate.graders._contract import GraderConfig, GradingError, Kit, Spent
from tunewright.evaluate.graders._templates import Look, fill_messages

# A verdict is a number or a label: what takes more is a judge that has lost its way.
VERDICT_TOKENS = 256

_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = ("input_text", "output_text", "text")


class Message(BaseModel):
    """One message that a model is told; its text is a template.

    The API says any word for a role in one place and one of four in another: what is none of the four is the user's.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    content: str
    type: Literal["message"] | None = None

    @field_validator("role")
    @classmethod
    def _is_a_role(cls, role: str) -> str:
        return role if role in _ROLES else "user"

    @field_validator("content", mode="before")
    @classmethod
    def _is_text(cls, content: object) -> object:
        """The text of a content part, or of several in a row; images and sounds are refused: models here read text."""
        parts = content if isinstance(content, list) else [content]
        texts = [part if isinstance(part, str) else _text_of(part) for part in parts]
        return "\n".join(texts) if texts else content


class JudgeConfig(GraderConfig):
    """Settings of a grader that asks a model."""

    input: tuple[Message, ...] = Field(min_length=1)
    model: str = Field(min_length=1)

    def templates(self) -> tuple[str, ...]:
        """The messages."""
        return tuple(message.content for message in self.input)

    def judges(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)


def _text_of(part: object) -> str:
    if isinstance(part, Mapping) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise ValueError(f"content of type {kind!r} cannot be read here: models of this server read text alone")


class SamplingParams(BaseModel):
    """How a judge draws its words."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    max_completions_tokens: int | None = Field(None, ge=1)
    reasoning_effort: str | None = None
    seed: int | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)


def ask_judge(
    model: str,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any],
    *,
    look: Look,
    kit: Kit,
    where: str,
    sampling: SamplingParams | None = None,
) -> tuple[dict[str, Any], dict[str, Any], Spent]:
    """A model's verdict.

    Args:
        schema: The JSON Schema that the model's words are held to.
        where: The grader's name, for errors.

    Returns:
        The verdict, what was asked and said, and what it took.

    Raises:
        GradingError: If a field is missing, the model cannot be asked, or what it says is no such verdict.
    """
    if kit.ask is None:
        raise GradingError("model_grader_server_error", "There is no model to ask here", where=where)
    asked = fill_messages([message.model_dump(include={"role", "content"}) for message in messages], look)
    sampling = sampling or SamplingParams()
    body = {
        "model": model,
        "messages": asked,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        },
        "max_completion_tokens": sampling.max_completions_tokens or VERDICT_TOKENS,
        # The same answer is judged the same twice, unless somebody wants it otherwise.
        "temperature": 0.0 if sampling.temperature is None else sampling.temperature,
        "top_p": 1.0 if sampling.top_p is None else sampling.top_p,
        "seed": sampling.seed,
    }
    try:
        answer = kit.ask(body)
    except GradingError:
        raise
    except TunewrightError as error:
        raise GradingError("model_grader_server_error", str(error).rstrip("."), where=where) from error
    choice = answer["choices"][0]
    text = choice["message"].get("content") or ""
    said = {"input": asked, "output": [{"role": "assistant", "content": text}], "model": model}
    return _verdict(choice, text, where), said, spent_by(model, answer)


def _verdict(choice: Mapping[str, Any], text: str, where: str) -> dict[str, Any]:
    if refusal := choice["message"].get("refusal"):
        raise GradingError("model_grader_refusal_error", f"The judge refused: {str(refusal)[:200]}", where=where)
    try:
        verdict = json.loads(text)
    except (ValueError, RecursionError) as error:
        cut = " (it was cut at the limit of tokens)" if choice.get("finish_reason") == "length" else ""
        raise GradingError(
            "model_grader_parse_error", f"The judge's answer is no JSON{cut}: {text[:200]!r}", where=where
        ) from error
    if not isinstance(verdict, dict):
        raise GradingError("model_grader_parse_error", f"The judge's answer is no object: {text[:200]!r}", where=where)
    return verdict


def spent_by(model: str, answer: Mapping[str, Any]) -> Spent:
    """The tokens of a chat completion."""
    usage = answer.get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Spent(model, int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), int(cached))
