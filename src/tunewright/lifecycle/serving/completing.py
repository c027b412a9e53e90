"""Completions: texts that a model goes on with, in OpenAI's older form, which evaluation tools read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.answering import Answering, Chunk, choosing_of, room
from tunewright.lifecycle.serving.bodies import CompletionBody
from tunewright.lifecycle.serving.fleet import Seat
from tunewright.lifecycle.serving.logprobs import TokenTexts
from tunewright.store.records import new_id

if TYPE_CHECKING:
    from tunewright.generate.drawing import Chosen
    from tunewright.generate.serving.request import Heard, Request

# OpenAI's own, where a body does not say how long.
_TOKENS = 16


@dataclass(frozen=True)
class Prompt:
    """A text to go on with.

    Args:
        tokens: As the model reads it.
        text: As it is shown with `echo`.
        unseen: How many tokens in front are no part of the text.
    """

    tokens: tuple[int, ...]
    text: str
    unseen: int = 0


@dataclass
class _Written:
    """One way to go on with a prompt."""

    text: str = ""
    tokens: list[Chosen] = field(default_factory=list)
    finish: str = "length"

    @property
    def mean_logprob(self) -> float:
        """How likely a token of it is; nothing written is as likely as can be."""
        return math.fsum(chosen.logprob for chosen in self.tokens) / max(1, len(self.tokens))


class Completing(Answering):
    """A completion of one prompt or several.

    Args:
        seat: The model that answers.
        body: What was asked.

    Raises:
        InputError: If it cannot be asked so; `where` is the field.
    """

    body: CompletionBody

    def __init__(self, seat: Seat, body: CompletionBody) -> None:
        if seat.engine is None or seat.chat is None:
            raise InputError(f"'{body.model}' does not go on with texts", where="model")
        _check(body)
        self._prompts = _prompts(seat, body)
        self._drawn = max(body.samples, body.best_of or 0)
        super().__init__(seat, body, new_id("cmpl"), self._requests(seat, body))
        self._texts = TokenTexts(seat.chat.tokenizer)
        self._written = [[_Written() for _ in range(self._drawn)] for _ in self._prompts]
        self._scored: list[tuple[Chosen, ...]] = [() for _ in self._prompts]
        if not self.requests:
            self.usage.prompt = sum(len(prompt.tokens) for prompt in self._prompts)

    def _requests(self, seat: Seat, body: CompletionBody) -> list[Request]:
        from tunewright.generate.serving.request import Request

        assert seat.chat is not None
        choosing = choosing_of(body, seat.words)
        stop_ids = frozenset({seat.chat.plain.end, *seat.chat.stop_ids})
        wanted = _TOKENS if body.max_tokens is None else body.max_tokens
        limits = [room(len(prompt.tokens), seat.longest, wanted, "prompt") for prompt in self._prompts]
        scores = body.echo and body.logprobs is not None
        if not any(limits) and not scores:
            return []
        return [
            Request(
                prompt=prompt.tokens,
                limit=limit,
                adapter=seat.adapter,
                stop_ids=stop_ids,
                stop_texts=body.stops,
                choosing=choosing,
                samples=self._drawn,
                top_logprobs=body.logprobs,
                prompt_logprobs=body.logprobs if scores else None,
            )
            for prompt, limit in zip(self._prompts, limits, strict=True)
        ]

    def opening(self) -> list[Chunk]:
        """The prompts, where they are echoed; and the ends, where nothing is to be written."""
        chunks = []
        for number, prompt in enumerate(self._prompts):
            for sample in range(self._drawn):
                if self.body.echo and prompt.text:
                    chunks.append(self._chunk(number, sample, prompt.text))
                if not self.requests:
                    chunks.append(self._chunk(number, sample, "", "length"))
        return chunks

    def read(self, number: int, heard: Heard) -> list[Chunk]:
        """A piece of what is written, or the end of it."""
        from tunewright.generate.serving.request import Done, Ended, Piece

        if isinstance(heard, Done):
            self._scored[number] = heard.prompt or ()
        if isinstance(heard, Ended):
            self._written[number][heard.sample].finish = heard.reason
            return [self._chunk(number, heard.sample, "", heard.reason)]
        if not isinstance(heard, Piece):
            return []
        written = self._written[number][heard.sample]
        offset = len(self._prompts[number].text) + len(written.text)
        written.text += heard.text
        written.tokens += heard.tokens
        chunk = self._chunk(number, heard.sample, heard.text)
        if self.body.logprobs is not None:
            chunk["choices"][0]["logprobs"] = self._texts.arrays(heard.tokens, offset)
        return [chunk]

    def closing(self) -> list[Chunk]:
        """The usage, where it is wanted."""
        if not self.body.tells_usage:
            return []
        return [{**self._chunk(0, 0, ""), "choices": [], "usage": self.usage.as_json()}]

    def answer(self) -> dict[str, Any]:
        """The whole completion: of each prompt the likeliest of what was drawn, as many as were asked for."""
        choices: list[dict[str, Any]] = []
        for number, prompt in enumerate(self._prompts):
            written = self._written[number]
            if self._drawn > self.body.samples:
                written = sorted(written, key=lambda one: -one.mean_logprob)[: self.body.samples]
            for one in written:
                echoed = prompt.text if self.body.echo else ""
                choices.append(
                    {
                        "index": len(choices),
                        "text": echoed + one.text,
                        "logprobs": self._arrays(number, one),
                        "finish_reason": one.finish,
                    }
                )
        return {**self._common(), "choices": choices, "usage": self.usage.as_json()}

    def _arrays(self, number: int, written: _Written) -> dict[str, Any] | None:
        if self.body.logprobs is None:
            return None
        prompt = self._prompts[number]
        if not self.body.echo:
            return self._texts.arrays(written.tokens, len(prompt.text))
        from tunewright.generate.drawing import Chosen

        # What stands first follows nothing.
        scored = [Chosen(prompt.tokens[0], 0.0, ()), *self._scored[number], *written.tokens]
        return self._texts.arrays(scored, has_first=False, unseen=prompt.unseen)

    def _chunk(self, number: int, sample: int, text: str, finish: str | None = None) -> Chunk:
        index = number * self._drawn + sample
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
        return {**self._common(), "choices": [choice], **({"usage": None} if self.body.tells_usage else {})}

    def _common(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.body.model,
            "system_fingerprint": self.seat.fingerprint,
        }


def _check(body: CompletionBody) -> None:
    """Refuses what no model here can do."""
    if body.suffix:
        raise InputError("Models here write what follows a text, and not what stands before one", where="suffix")
    # 0 is what some clients send for none; one answer is drawn then.
    if body.best_of and body.best_of < body.samples:
        raise InputError(f"It must not be below n, which is {body.samples}", where="best_of")
    if body.stream and (body.best_of or 0) > body.samples:
        raise InputError("Which answer is best shows at its end, so it cannot be streamed", where="best_of")
    if body.stream and body.echo and body.logprobs is not None:
        raise InputError("A scored prompt cannot be streamed", where="echo", hint="Leave out stream or logprobs.")


def _prompts(seat: Seat, body: CompletionBody) -> list[Prompt]:
    given = body.prompt
    if given is None or isinstance(given, str):
        return [_of_text(seat, given or "")]
    if not given:
        raise InputError("It is empty", where="prompt", hint="Send a text, a list of texts, or token ids.")
    if isinstance(given[0], int):
        return [_of_tokens(seat, given, "prompt")]
    return [
        _of_text(seat, one) if isinstance(one, str) else _of_tokens(seat, one, f"prompt[{place}]")  # type: ignore[arg-type]
        for place, one in enumerate(given)
    ]


def _of_text(seat: Seat, text: str) -> Prompt:
    assert seat.chat is not None
    plain = seat.chat.plain
    tokens = (*plain.begin, *plain.tokens(text))
    # Without a text it begins a document of its own.
    return Prompt(tokens or (plain.prefix,), text, unseen=len(plain.begin) if tokens else 1)


def _of_tokens(seat: Seat, tokens: list[int], where: str) -> Prompt:
    assert seat.chat is not None
    if not tokens:
        raise InputError("A prompt holds no token", where=where)
    if strange := [token for token in tokens if not 0 <= token < seat.words]:
        raise InputError(
            f"There is no token {strange[0]}: this model's are numbered from 0 to {seat.words - 1}", where=where
        )
    return Prompt(tuple(tokens), seat.chat.plain.show(tokens))
