"""Chat completions: a conversation's next message, whole or piece by piece, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.answering import Answering, Chunk, Ticket, choosing_of, room
from tunewright.lifecycle.serving.bodies import ChatBody, ResponseFormat
from tunewright.lifecycle.serving.call_stream import Arguments, CallBegun, CallStream, Event, Said
from tunewright.lifecycle.serving.fleet import Seat
from tunewright.lifecycle.serving.logprobs import TokenTexts
from tunewright.lifecycle.serving.rendering import Question, question
from tunewright.lifecycle.serving.tool_use import ToolUse
from tunewright.store.records import new_id

if TYPE_CHECKING:
    from tunewright.generate.constraint import Constraint, Grammar, Otherwise
    from tunewright.generate.drawing import Chosen
    from tunewright.generate.serving.request import Heard, Request

# No tier of service is better than another here.
_TIER = "default"
_SCHEMA = "response_format.json_schema.schema"


class Message:
    """One answer to a conversation while it is written.

    Args:
        tools: What it may call.
        is_held: Whether it is held to a grammar, whose calls all stand in tags.
    """

    def __init__(self, tools: ToolUse, *, is_held: bool = False) -> None:
        self._is_old = tools.is_old
        most = None if tools.parallel else 1
        reads_calls = bool(tools.shown) and tools.choice != "none"
        self._stream = CallStream(reads_calls=reads_calls, reads_bare=not is_held, most=most)
        self._texts: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] = []
        self.finish: str | None = None

    def add(self, text: str) -> list[dict[str, Any]]:
        """Takes a piece of text; gives the deltas that a stream tells."""
        return [self._delta(event) for event in self._stream.add(text)]

    def end(self, reason: str) -> list[dict[str, Any]]:
        """Ends it; gives the deltas of what was held back."""
        deltas = [self._delta(event) for event in self._stream.finish()]
        called = "function_call" if self._is_old else "tool_calls"
        self.finish = called if self._calls and reason == "stop" else reason
        return deltas

    def _delta(self, event: Event) -> dict[str, Any]:
        if isinstance(event, Said):
            self._texts.append(event.text)
            return {"content": event.text}
        if isinstance(event, CallBegun):
            function = {"name": event.name, "arguments": ""}
            call = {"id": new_id("call_"), "type": "function", "function": function}
            self._calls.append(call)
            told: dict[str, Any] = {**call, "function": dict(function)}
        else:
            assert isinstance(event, Arguments)
            self._calls[-1]["function"]["arguments"] += event.text
            told = {"function": {"arguments": event.text}}
        if self._is_old:
            return {"function_call": told["function"]}
        return {"tool_calls": [{"index": len(self._calls) - 1, **told}]}

    def as_json(self) -> dict[str, Any]:
        """The message in OpenAI's form."""
        content = "".join(self._texts)
        old = dict(self._calls[0]["function"]) if self._is_old and self._calls else None
        return {
            "role": "assistant",
            "content": None if self._calls and not content else content,
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": old,
            "tool_calls": self._calls if self._calls and not self._is_old else None,
        }


class Chat(Answering):
    """A chat completion.

    Args:
        seat: The model that answers.
        body: What was asked.

    Raises:
        InputError: If it cannot be asked so; `where` is the field.
    """

    body: ChatBody

    def __init__(self, seat: Seat, body: ChatBody) -> None:
        if seat.chat is None:
            raise InputError(
                f"'{body.model}' is an embedding model, and writes no answers",
                where="model",
                hint="Use /v1/embeddings.",
            )
        _check(body)
        self.question = question(body, seat.chat, seat.served.template, seat.recipe)
        grammar = _grammar(body.response_format, self.question.tools)
        super().__init__(seat, body, new_id("chatcmpl"), _requests(seat, body, self.question, grammar))
        self._texts = TokenTexts(seat.chat.tokenizer)
        self.messages = [Message(self.question.tools, is_held=grammar is not None) for _ in range(body.samples)]
        if not self.requests:
            self.usage.prompt = len(self.question.prompt)
            for message in self.messages:
                message.end("length")

    def _submit(self, request: Request, hear: Callable[[Heard], None]) -> Ticket:
        if self.seat.direct is not None:
            return self.seat.direct.submit(self.question.turns, request, hear)
        return super()._submit(request, hear)

    def opening(self) -> list[Chunk]:
        """The role of each answer; and its end, where it is not to have a token."""
        begun = {"role": "assistant", "content": "", "refusal": None}
        chunks = [self._chunk(sample, begun) for sample in range(len(self.messages))]
        return chunks + [
            self._chunk(n, {}, message.finish) for n, message in enumerate(self.messages) if message.finish
        ]

    def read(self, number: int, heard: Heard) -> list[Chunk]:
        """The deltas of a piece, or the end of an answer."""
        from tunewright.generate.serving.request import Ended, Piece

        if isinstance(heard, Ended):
            message = self.messages[heard.sample]
            chunks = [self._chunk(heard.sample, delta) for delta in message.end(heard.reason)]
            return [*chunks, self._chunk(heard.sample, {}, message.finish)]
        if not isinstance(heard, Piece):
            return []
        message = self.messages[heard.sample]
        logprobs = self._logprobs(heard.tokens)
        message.logprobs += logprobs
        deltas = message.add(heard.text) or ([{"content": ""}] if logprobs else [])
        chunks = [self._chunk(heard.sample, delta) for delta in deltas]
        if logprobs:
            chunks[0]["choices"][0]["logprobs"] = {"content": logprobs, "refusal": None}
        return chunks

    def closing(self) -> list[Chunk]:
        """The usage, where it is wanted."""
        if not self.body.tells_usage:
            return []
        return [{**self._chunk(0, {}), "choices": [], "usage": self.usage.as_json()}]

    def answer(self) -> dict[str, Any]:
        """The whole completion."""
        choices = [
            {
                "index": sample,
                "message": message.as_json(),
                "logprobs": {"content": message.logprobs, "refusal": None} if self.body.logprobs else None,
                "finish_reason": message.finish,
            }
            for sample, message in enumerate(self.messages)
        ]
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.body.model,
            "choices": choices,
            "usage": self.usage.as_json(),
            "metadata": self.body.metadata,
            "moderation": None,
            "service_tier": _TIER,
            "system_fingerprint": self.seat.fingerprint,
        }

    def _chunk(self, sample: int, delta: dict[str, Any], finish: str | None = None) -> Chunk:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.body.model,
            "service_tier": _TIER,
            "system_fingerprint": self.seat.fingerprint,
            "choices": [{"index": sample, "delta": delta, "logprobs": None, "finish_reason": finish}],
            **({"usage": None} if self.body.tells_usage else {}),
        }

    def _logprobs(self, tokens: tuple[Chosen, ...]) -> list[dict[str, Any]]:
        return [self._texts.chat_logprob(chosen) for chosen in tokens] if self.body.logprobs else []


def _check(body: ChatBody) -> None:
    """Refuses what no model here can do."""
    if "audio" in (body.modalities or ()):
        raise InputError("Models here write text alone", where="modalities", hint="Leave it out, or send ['text'].")
    if body.top_logprobs and not body.logprobs:
        raise InputError("It needs 'logprobs' to be true", where="top_logprobs")


def _requests(seat: Seat, body: ChatBody, asked: Question, grammar: Grammar | None) -> list[Request]:
    """What the engine is asked: one request for all samples, or none where nothing is to be written."""
    from tunewright.generate.serving.request import Request

    limit = room(len(asked.prompt), seat.longest, body.limit, "messages")
    choosing = choosing_of(body, seat.words)
    constraint = _constraint(seat, grammar)
    stops = body.stops
    if limit == 0:
        return []
    return [
        Request(
            prompt=asked.prompt,
            limit=limit,
            adapter=seat.adapter,
            stop_ids=asked.stop_ids,
            stop_texts=stops,
            choosing=choosing,
            samples=body.samples,
            top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
            constraint=constraint,
        )
    ]


def _constraint(seat: Seat, grammar: Grammar | None) -> Constraint | None:
    from tunewright.generate.constraint import Constraint, alphabet_of

    if grammar is None:
        return None
    if seat.engine is None or seat.base is None:
        raise InputError("This model names classes, and its answers have no other form", where="response_format")
    return Constraint(grammar, alphabet_of(seat.base))


def _grammar(form: ResponseFormat | None, tools: ToolUse) -> Grammar | None:
    """What an answer must look like; None where it may be anything.

    Calls that are made freely are held to a schema only where a tool is strict, as OpenAI's API has it, or where what
    is said instead is held to one.
    """
    from tunewright.generate import constraint

    said = _said(form)
    if not tools.shown or (tools.choice == "none" and said):
        return constraint.json_schema(said.schema, strict=said.strict, where=_SCHEMA) if said else None
    if tools.choice == "none":
        return constraint.tool_call(tools.shown, "none")
    is_free = tools.choice == "auto" and not said
    if is_free and not any(tool["function"].get("strict") for tool in tools.callable):
        return None
    where = "functions" if tools.is_old else "tools"
    return constraint.tool_call(tools.callable, tools.choice, parallel=tools.parallel, where=where, said=said)


def _said(form: ResponseFormat | None) -> Otherwise | None:
    """The JSON that a format asks for; None for any text.

    Raises:
        InputError: If its schema is none, or is strict and outside of OpenAI's subset.
    """
    from tunewright.generate.constraint import Otherwise
    from tunewright.generate.strict_schema import check_strict

    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return Otherwise({"type": "object"}, strict=False)
    given = form.json_schema
    if given is None:
        raise InputError("A format of the type 'json_schema' needs one", where="response_format.json_schema")
    schema, strict = given.get("schema"), given.get("strict") is True
    if not isinstance(schema, dict):
        raise InputError("A JSON schema is an object", where=_SCHEMA)
    if strict:
        check_strict(schema, _SCHEMA)
    return Otherwise(schema, strict)
