"""Models in memory: loaded on first use, shared where they can be, and evicted where room is needed.

There is one engine for each base as it is computed (its weights, dtype and quantisation), and the adapters that it can
hold share it. Whatever changes the base otherwise has an engine of its own; heads of classes answer without one
(`direct`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tunewright.base.errors import BusyError, OutOfMemoryError
from tunewright.base.files import hash_value
from tunewright.base.memory import give_back
from tunewright.base.quiet import quiet
from tunewright.lifecycle.serving.direct import Direct
from tunewright.lifecycle.serving.loading import load_tuned, tuned_chat
from tunewright.lifecycle.serving.names import Served, find_served
from tunewright.lifecycle.serving.needs import Needs, needs_of
from tunewright.models.class_format import ClassFormat
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.generate.serving.engine import Engine
    from tunewright.generate.serving.request import EngineSettings
    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat
    from tunewright.models.encoder import Encoder
    from tunewright.models.files import BaseFiles
    from tunewright.recipe import Recipe

# Of the memory that is free when a fleet is made: the rest is for what a pass computes, and for others.
_SHARE = 0.6
# Keys and values of one engine, where nobody says how much: a part of the fleet's memory, and not more than this.
_CACHE_SHARE, _MOST_CACHE = 0.25, 4 << 30
# What a model, a packed copy of its weights and its cache may take together, for there to be such a copy.
_PACKED_SHARE = 0.8
_RETRY_S = 2.0
_MOST_KNOWN = 256
_FINISH_S, _GLANCE_S = 5.0, 0.005

OpenEngine = Callable[["Base", "EngineSettings"], "Engine"]


@dataclass
class _Held:
    """What is in memory under one key.

    Args:
        key: What it is known by.
        label: What people are told it is.
        size: Bytes that it takes, its adapters apart.
        users: Requests that it is answering.
        used: When it was last asked, by the monotonic clock.
        adapters: In its bank, by hash.
    """

    key: str
    label: str
    size: int
    users: int = 0
    used: float = 0.0
    engine: Engine | None = None
    direct: Direct | None = None
    encoder: Encoder | None = None
    chat: ChatFormat | None = None
    base: Base | None = None
    adapters: dict[str, _Guest] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Bytes with adapters."""
        return self.size + sum(guest.size for guest in self.adapters.values())

    def stop(self, drain_s: float) -> None:
        """Ends what computes, running answers first, for so long."""
        if self.engine is not None:
            self.engine.stop(drain_s)
        if self.direct is not None:
            self.direct.stop()


@dataclass
class _Guest:
    """An adapter in an engine's bank."""

    label: str
    size: int
    chat: ChatFormat
    users: int = 0
    used: float = 0.0


@dataclass(frozen=True)
class Seat:
    """A model that is ready to answer, and stays in memory until the seat is left.

    One of `engine`, `direct` and `encoder` is there. A context manager, which leaves it at the block's end.

    Args:
        served: What was asked for.
        files: Its base.
        recipe: By which it was made; None for a base.
        chat: How it reads conversations; None for a text encoder.
        adapter: Its key in the engine's bank; empty for none.
        base: In memory; None for a text encoder.
        leave: Gives it back; later calls do nothing.
    """

    served: Served
    files: BaseFiles
    recipe: Recipe | None
    chat: ChatFormat | None
    adapter: str
    engine: Engine | None
    direct: Direct | None
    encoder: Encoder | None
    base: Base | None
    leave: Callable[[], None]

    @property
    def longest(self) -> int:
        """Tokens that fit, the answer included: what the model reads, and what its engine has memory for."""
        longest = self.files.context_length
        return longest if self.engine is None else min(longest, self.engine.longest)

    @cached_property
    def words(self) -> int:
        """Tokens that it chooses from."""
        from tunewright.forest.layout import unwrap

        output = unwrap(self.base.model).get_output_embeddings() if self.base is not None else None
        return int(output.weight.shape[0]) if output is not None else 0

    @cached_property
    def fingerprint(self) -> str:
        """What answers are made by, in short: another base, adapter or dtype has another one."""
        identity = [self.files.weights_hash, self.served.adapter, str(self.served.template.get("dtype", ""))]
        return f"fp_{hash_value(identity)[:16]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.leave()


class Fleet:
    """The models of a server. May be used from any thread.

    Args:
        workspace: Where names lead.
        memory_bytes: Most that models and their caches may take; None: a share of what is free at the first load.
        cache_bytes: Keys and values of each engine; None: a part of that.
        device: Where models compute; empty: on a card where there is one.
        open_engine: Makes and starts the engine of a base that is loaded, given what it may take.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        memory_bytes: int | None = None,
        cache_bytes: int | None = None,
        device: str = "",
        open_engine: OpenEngine | None = None,
    ) -> None:
        self.workspace = workspace
        self._device = device
        self._given_limit, self._given_cache = memory_bytes, cache_bytes
        self._open_engine = open_engine or _open_engine
        self._guard = threading.Lock()
        self._turns: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._held: dict[str, _Held] = {}
        self._known: OrderedDict[tuple[Any, ...], Needs] = OrderedDict()
        self._promised = 0  # bytes of what is being loaded
        self._is_stopped = False

    @cached_property
    def _limit(self) -> int:
        # Looked for when it first matters: that loads torch, and not every server is asked for a model.
        from tunewright.models.device import free_bytes

        return self._given_limit or int(_SHARE * free_bytes(self._device))

    @cached_property
    def _cache_bytes(self) -> int:
        return self._given_cache or min(_MOST_CACHE, int(_CACHE_SHARE * self._limit))

    def start(self, names: Sequence[str] = ()) -> None:
        """Takes requests, again after `stop`.

        Args:
            names: What to load now, and not on first use.
        """
        self._is_stopped = False
        for name in names:
            self.seat(name).leave()

    def stop(self, drain_s: float = 30.0) -> None:
        """Takes no more requests, lets running answers finish for so long, and frees everything."""
        self._is_stopped = True
        with self._guard:
            held, self._held = list(self._held.values()), {}
        deadline = time.monotonic() + drain_s
        for one in held:
            one.stop(max(0.0, deadline - time.monotonic()))

    def status(self) -> dict[str, Any]:
        """What is in memory, JSON-ready; `memory_bytes` is None until it is known, at the first model.

        A model's `engine` has the fields of `EngineStatus`; null where another program computes, or none is needed.
        """
        with self._guard:
            models: list[dict[str, Any]] = [
                {
                    "model": one.label,
                    "bytes": one.total,
                    "users": one.users,
                    "adapters": [guest.label for guest in one.adapters.values()],
                    "engine": _status_of(one.engine),
                }
                for one in self._held.values()
            ]
        used = sum(int(model["bytes"]) for model in models)
        # To look for the limit loads torch, which whoever only asks need not wait for.
        limit = self.__dict__.get("_limit", self._given_limit)
        return {"memory_bytes": limit, "used_bytes": used, "models": models}

    def seat(self, name: str, *, project: str | None = None) -> Seat:
        """A model that is ready to answer; the first one who asks for it waits until it is loaded.

        Args:
            name: As a request says it.
            project: Whose fine-tuned models may be asked.

        Raises:
            UnknownModelError: If nothing is served under the name.
            ModelError: If it cannot be loaded, or its parts do not belong together.
            OutOfMemoryError: If it does not fit under the limit at all.
            BusyError: If there is no room beside what others are using now.
        """
        served = find_served(self.workspace, name, project=project)
        needs = self._needs_of(served)
        held = self._enter(needs)
        try:
            if not needs.joins:
                return self._seat(served, needs, held, "", held.chat)
            if guest := self._join(needs, held):
                return self._seat(served, needs, held, served.adapter, guest.chat)
        except BaseException:
            self._leave(held, "")
            raise
        # The bank takes no such adapter after all.
        self._leave(held, "")
        alone = needs.alone()
        held = self._enter(alone)
        return self._seat(served, alone, held, "", held.chat)

    def _seat(self, served: Served, needs: Needs, held: _Held, adapter: str, chat: ChatFormat | None) -> Seat:
        once = threading.Lock()

        def leave() -> None:
            if once.acquire(blocking=False):
                self._leave(held, adapter)

        return Seat(
            served, needs.files, needs.recipe, chat, adapter, held.engine, held.direct, held.encoder, held.base, leave
        )

    def _needs_of(self, served: Served) -> Needs:
        """What a model needs; found out once, since it is asked for each request and read from the disk."""
        key = (served.name, served.base, served.base_hash, served.adapter, served.created)
        with self._guard:
            if needs := self._known.get(key):
                self._known.move_to_end(key)
                return needs
        needs = needs_of(self.workspace, served)
        with self._guard:
            self._known[key] = needs
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return needs

    def _enter(self, needs: Needs) -> _Held:
        """What is needed, loaded if it is not there, with one user more. One thread loads; others wait for it."""
        with self._turn(needs.key):
            with self._guard:
                if self._is_stopped:
                    raise BusyError("The server is stopping", retry_after_s=_RETRY_S)
                held = self._held.get(needs.key)
                if held is not None and held.engine is not None and held.engine.stopping:
                    # It gave itself up. Those who use it have been told; others get a new one.
                    del self._held[needs.key]
                    held = None
                if held is not None:
                    held.users += 1
                    held.used = time.monotonic()
                    return held
            size = self._size_of(needs)
            self._make_room(size, needs.label)
            try:
                held = self._load(needs, size)
            except BaseException:
                with self._guard:
                    self._promised -= size
                raise
            held.users, held.used = 1, time.monotonic()
            with self._guard:
                self._promised -= size
                self._held[needs.key] = held
            return held

    def _join(self, needs: Needs, held: _Held) -> _Guest | None:
        """An adapter in a shared engine, loaded if it is not there, with one user more; None: it cannot join."""
        assert held.engine is not None
        assert held.chat is not None
        key, folder = needs.served.adapter, needs.adapter
        assert folder is not None
        with self._turn(f"{held.key} {key}"):
            with self._guard:
                if guest := held.adapters.get(key):
                    guest.users += 1
                    guest.used = time.monotonic()
                    return guest
            if not held.engine.can_load(folder):
                return None
            chat = tuned_chat(held.chat, folder, needs.served.template, needs.label)
            self._make_room(needs.adapter_size, needs.label)
            try:
                held.engine.load(key, folder)
            finally:
                with self._guard:
                    self._promised -= needs.adapter_size
            guest = _Guest(needs.label, held.engine.bytes_of(key), chat, 1, time.monotonic())
            with self._guard:
                held.adapters[key] = guest
            return guest

    def _leave(self, held: _Held, adapter: str) -> None:
        with self._guard:
            now = time.monotonic()
            held.users -= 1
            held.used = now
            if adapter:
                held.adapters[adapter].users -= 1
                held.adapters[adapter].used = now

    def _turn(self, key: str) -> threading.Lock:
        with self._guard:
            return self._turns[key]

    def _make_room(self, size: int, label: str) -> None:
        """Promises bytes to what is about to be loaded; evicts what has been idle longest, as far as that is needed.

        Raises:
            OutOfMemoryError: If it would not fit even alone.
            BusyError: If it does not fit beside what is in use.
        """
        deadline = time.monotonic() + _FINISH_S
        while True:
            gone: _Held | None = None
            with self._guard:
                if size > self._limit:
                    raise _too_large(label, size, self._limit)
                if self._promised + sum(one.total for one in self._held.values()) + size <= self._limit:
                    self._promised += size
                    return
                try:
                    gone = self._evict_one(label)
                except _FinishingError as error:
                    if time.monotonic() > deadline:
                        raise error.reason from error
            if gone is None:
                time.sleep(_GLANCE_S)
            else:
                gone.stop(0.0)
                give_back()

    def _evict_one(self, label: str) -> _Held | None:
        """Takes the longest idle adapter or model out; gives the model that is to be stopped, if it was one.

        Raises:
            BusyError: If nothing is idle.
            _FinishingError: If the engine is not quite done with the adapter's last answer.
        """
        adapters = [
            (guest.used, one, key)
            for one in self._held.values()
            for key, guest in one.adapters.items()
            if not guest.users
        ]
        models = [(one.used, one, "") for one in self._held.values() if not one.users]
        # An adapter goes before the model that it is on, which was asked at least as late.
        idle = sorted([*adapters, *models], key=lambda each: (each[0], not each[2]))
        if not idle:
            raise BusyError(
                f"There is no room for {label} beside the models that are answering now", retry_after_s=_RETRY_S
            )
        _, held, adapter = idle[0]
        if not adapter:
            return self._held.pop(held.key)
        assert held.engine is not None
        try:
            held.engine.drop(adapter)
        except BusyError as error:
            raise _FinishingError(error) from error
        del held.adapters[adapter]
        return None

    def _size_of(self, needs: Needs) -> int:
        """Bytes that what is needed takes, its adapters apart."""
        weights = needs.size * (2 if self._packs(needs) else 1)
        return weights + (self._cache_bytes if needs.has_engine else 0)

    def _packs(self, needs: Needs) -> bool:
        """Whether its weights are held a second time, in the processor's order: where that leaves room for others."""
        return 2 * needs.size + self._cache_bytes <= _PACKED_SHARE * self._limit and needs.packs(self._device)

    def _settings(self, needs: Needs) -> EngineSettings:
        from tunewright.generate.serving.request import EngineSettings

        return EngineSettings(memory_bytes=self._cache_bytes, packs=self._packs(needs))

    def _load(self, needs: Needs, size: int) -> _Held:
        held = _Held(needs.key, needs.label, size)
        if needs.kind == "encoder":
            from tunewright.models.encoder import Encoder

            return replace(held, encoder=Encoder.load(needs.files))
        if needs.kind == "shared":
            base = self._load_base(needs)
            return replace(held, engine=self._open_engine(base, self._settings(needs)), chat=base.chat, base=base)
        assert needs.adapter is not None
        loaded = load_tuned(
            needs.files,
            needs.adapter,
            needs.served.template,
            longest=needs.longest,
            label=needs.label,
            device=self._device,
        )
        if isinstance(loaded.chat, ClassFormat):
            direct = Direct(loaded.model, loaded.chat, needs.files.context_length)
            return replace(held, direct=direct, chat=loaded.chat, base=loaded.base)
        alone = replace(loaded.base, model=loaded.model)
        return replace(held, engine=self._open_engine(alone, self._settings(needs)), chat=loaded.chat, base=alone)

    def _load_base(self, needs: Needs) -> Base:
        from tunewright.models.base import load_base
        from tunewright.models.device import pick_device

        with quiet():
            base = load_base(needs.files, dtype=needs.dtype, device=self._device or pick_device())  # type: ignore[arg-type]
            needs.prepare(base.model)
            from tunewright.forest import layout

            layout.adopt(base.model, longest=needs.longest)
        return base


class _FinishingError(Exception):
    """An adapter's last answer was heard, and its engine has not put it away yet: that takes a pass at most."""

    def __init__(self, reason: BusyError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _open_engine(base: Base, settings: EngineSettings) -> Engine:
    from tunewright.generate.serving.engine import Engine

    engine = Engine(base, settings=settings)
    engine.start()
    return engine


def _too_large(label: str, size: int, limit: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"{label} takes {size / 2**20:,.0f} MiB, and models may take {limit / 2**20:,.0f} MiB",
        hint="Start the server with more memory for models, or a smaller cache.",
    )


def _status_of(engine: Engine | None) -> dict[str, Any] | None:
    if engine is None:
        return None
    from tunewright.generate.serving.engine import Engine

    return asdict(engine.status()) if isinstance(engine, Engine) else None
