"""Who judges: a model behind an endpoint, or one in memory. What a judge has said once, it is not asked again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tunewright.base import events
from tunewright.base.errors import EndpointError, InputError, RequestRefusedError
from tunewright.base.files import hash_value, read_json, write_json
from tunewright.data.example import Message
from tunewright.endpoints import Client, Endpoint, Reply, Request
from tunewright.endpoints.cache import find_reply, keep_reply
from tunewright.endpoints.threads import in_order
from tunewright.evaluate.speaker import Conversation, LocalSpeaker, Said

if TYPE_CHECKING:
    from tunewright.models.base import Base

STAGE = "judge"
_TELLING = 3  # failures in a row, before any answer, that show an endpoint to be dead
_CAUSAL = "causal-lm"


@dataclass(frozen=True, slots=True)
class Silent:
    """A judge gave no answer, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asking:
    """How a judge is asked.

    Args:
        max_tokens: Longest answer.
        missing: How many answers may fail before the rest is not asked.
        listener: Hears how many are there, as a stage "judge".
        note: What is being judged.
    """

    max_tokens: int
    missing: int
    listener: events.Listener = events.ignore
    note: str = ""

    def tell(self, done: int, total: int) -> None:
        """Says how far it is."""
        self.listener(events.Stage(STAGE, "progress", done, total, "verdicts", self.note))


class Judge(Protocol):
    """Answers conversations in words; one in memory also says how likely it finds some of them."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def say(self, conversations: Sequence[Conversation], asking: Asking) -> list[Said | Silent]:
        """The answers, in the conversations' order.

        Raises:
            EndpointError: If more answers fail than may be missing.
        """
        ...

    def likelihoods(
        self, conversations: Sequence[Conversation], words: Sequence[str], asking: Asking
    ) -> list[Mapping[str, float] | Silent]:
        """The probability of each word as the whole answer, among these words.

        Raises:
            InputError: If the judge cannot say how likely words are.
        """
        ...


@dataclass(frozen=True)
class EndpointJudge:
    """A model behind an endpoint.

    Args:
        client: Asks it, and keeps what it says.
        seed: Sent along; part of what the cache knows replies by.
        temperature: None leaves it to the endpoint.
    """

    client: Client
    seed: int
    temperature: float | None = 0.0

    @property
    def name(self) -> str:
        """The model's name there."""
        return self.client.endpoint.model

    def say(self, conversations: Sequence[Conversation], asking: Asking) -> list[Said | Silent]:
        """As `Judge.say`; several at a time."""

        def ask(conversation: Conversation) -> Said | Silent:
            return self._ask(conversation, asking.max_tokens)

        said: list[Said | Silent] = []
        for each in in_order(ask, conversations, threads=self.client.endpoint.concurrency):
            said.append(each)
            asking.tell(len(said), len(conversations))
            silent = [one for one in said if isinstance(one, Silent)]
            # A dead endpoint is not worth all the waiting that trying every question again and again would take.
            if len(silent) > asking.missing or len(silent) == len(said) == _TELLING:
                raise EndpointError(
                    f"The judge '{self.name}' left {len(silent)} of the first {len(said)} questions unanswered: "
                    f"{silent[-1].reason}",
                    where=self.client.endpoint.url,
                    hint="What it has answered is kept: the same command goes on from there.",
                )
        return said

    def likelihoods(
        self, conversations: Sequence[Conversation], words: Sequence[str], asking: Asking
    ) -> list[Mapping[str, float] | Silent]:
        """Endpoints do not say how likely a given word is."""
        raise InputError(
            "An endpoint does not say how likely it finds a word",
            where=self.name,
            hint="Leave `how` at words, or let a local model judge.",
        )

    def _ask(self, conversation: Conversation, max_tokens: int) -> Said | Silent:
        messages = tuple({"role": turn.role, "content": turn.content} for turn in conversation)
        request = Request(messages, self.temperature, max_tokens, self.seed, wants_json=True)
        try:
            try:
                reply = self.client.ask(request)
            except RequestRefusedError:  # servers that do not know how to hold a model to JSON
                reply = self.client.ask(replace(request, wants_json=False))
        except EndpointError as error:
            return Silent(error.what)
        return Said(reply.text, reply.finish != "length")


@dataclass(frozen=True)
class LocalJudge:
    """A model in memory, asked greedily.

    Args:
        speaker: The model.
        identity: A hash of all that its answers depend on: weights, adapter, template, dtype.
        folder: Where its answers are kept.
    """

    speaker: LocalSpeaker
    identity: str
    folder: Path

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.speaker.name

    def say(self, conversations: Sequence[Conversation], asking: Asking) -> list[Said | Silent]:
        """As `Judge.say`."""
        keys = [self._key(conversation, max_tokens=asking.max_tokens) for conversation in conversations]
        too_long = [self._too_long(conversation, asking.max_tokens) for conversation in conversations]
        missing = [
            place for place, key in enumerate(keys) if not too_long[place] and find_reply(self.folder, key) is None
        ]
        if missing:
            given = self.speaker.say(
                [conversations[place] for place in missing],
                max_new_tokens=asking.max_tokens,
                listener=_as_judging(asking),
            )
            for place, said in zip(missing, given, strict=True):
                finish = "stop" if said.stopped else "length"
                keep_reply(self.folder, keys[place], Reply(said.text, finish, 0, said.written or 0))
        found = [Silent(why) if why else self._kept(key) for key, why in zip(keys, too_long, strict=True)]
        asking.tell(len(found), len(found))
        return found

    def likelihoods(
        self, conversations: Sequence[Conversation], words: Sequence[str], asking: Asking
    ) -> list[Mapping[str, float] | Silent]:
        """As `Judge.likelihoods`: each word with the end of the answer behind it, all of them in one forest."""
        kind = self.speaker.base.files.kind
        if kind != _CAUSAL:
            raise InputError(f"A model of the kind {kind} cannot judge by likelihood", where=self.name)
        places = [
            self.folder / "likelihoods" / f"{self._key(conversation, words=list(words))}.json"
            for conversation in conversations
        ]
        too_long = [self._too_long(conversation, 0) for conversation in conversations]
        missing = [n for n, place in enumerate(places) if not too_long[n] and not place.exists()]
        if missing:
            found = self._score([conversations[n] for n in missing], words, asking)
            for n, shares in zip(missing, found, strict=True):
                write_json(places[n], dict(zip(words, shares, strict=True)))
        asking.tell(len(places), len(places))
        return [Silent(why) if why else read_json(place) for place, why in zip(places, too_long, strict=True)]

    def _score(self, conversations: Sequence[Conversation], words: Sequence[str], asking: Asking) -> list[list[float]]:
        from tunewright.forest.forest import Path as TokenPath
        from tunewright.forest.score import score_paths

        chat = self.speaker.base.chat
        paths: list[TokenPath] = []
        for conversation in conversations:
            prompt = chat.prompt(conversation)
            for word in words:
                whole = chat.render([*conversation, Message("assistant", word)])
                tokens = np.array(whole.tokens, dtype=np.int32)
                weights = np.array(whole.learned, dtype=np.float32)
                weights[: len(prompt)] = 0  # earlier turns of the assistant are read, and not judged
                paths.append(TokenPath(tokens, weights, group=len(paths), row=len(paths)))
        with self.speaker.model() as model:
            scores = score_paths(model, paths, listener=_as_judging(asking))
        logp = scores.reshape(len(conversations), len(words))
        shares = np.exp(logp - logp.max(axis=1, keepdims=True))
        return [[float(share) for share in row] for row in shares / shares.sum(axis=1, keepdims=True)]

    def _too_long(self, conversation: Conversation, max_tokens: int) -> str:
        """Why a conversation cannot be judged as a whole; empty where it can."""
        read, most = len(self.speaker.base.chat.prompt(conversation)), self.speaker.base.files.context_length
        return f"with {read:,} tokens it is longer than the judge reads ({most:,})" if read + max_tokens > most else ""

    def _key(self, conversation: Conversation, **further: Any) -> str:
        return hash_value({"judge": self.identity, "asked": [(m.role, m.content) for m in conversation], **further})

    def _kept(self, key: str) -> Said:
        reply = find_reply(self.folder, key)
        assert reply is not None  # it was found or written a moment ago
        return Said(reply.text, reply.finish != "length", reply.completion_tokens)


def _as_judging(asking: Asking) -> events.Listener:
    """Progress of decoding and scoring, as progress of judging."""

    def hear(event: events.Event) -> None:
        if isinstance(event, events.Stage):
            event = replace(event, name=STAGE, note=asking.note, status="progress")
        asking.listener(event)

    return hear


@contextmanager
def endpoint_judge(endpoint: Endpoint, cache: Path, *, seed: int, temperature: float | None) -> Iterator[EndpointJudge]:
    """A model behind an endpoint, its replies kept in the workspace's cache."""
    with Client(endpoint, cache / "endpoints") as client:
        yield EndpointJudge(client, seed, temperature)


def local_judge(speaker: LocalSpeaker, cache: Path, *, adapter: str = "") -> LocalJudge:
    """A model in memory; `adapter` is the hash of what is put on its base."""
    base = speaker.base
    dtype = str(next(base.model.parameters()).dtype)
    identity = hash_value([base.files.weights_hash, adapter, base.chat.fingerprint, dtype])
    return LocalJudge(speaker, identity, cache / "judges")


def open_local(name: str, cache: Path, listener: events.Listener = events.ignore) -> LocalJudge:
    """Loads a base model as a judge.

    Raises:
        ModelError: If it is not found.
        InputError: If it is an encoder, which says nothing.
    """
    from tunewright.forest import layout
    from tunewright.models.base import load_base, pick_dtype
    from tunewright.models.catalog import ENCODER
    from tunewright.models.device import pick_device
    from tunewright.models.resolve import resolve

    files = resolve(name, cache, listener)
    if files.kind == ENCODER:
        raise InputError("An encoder says nothing, and cannot judge", where=name)
    device = pick_device()
    base: Base = load_base(files, dtype=pick_dtype("auto", device), device=device)
    layout.adopt(base.model)
    return local_judge(LocalSpeaker(name, base, lambda: nullcontext(base.model)), cache)
