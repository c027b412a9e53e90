"""The serving engine: a thread that answers requests together, pass after pass, for as long as there are any."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tunewright.base import events
from tunewright.base.errors import BusyError, InputError, ModelError, TunewrightError, UnknownNameError
from tunewright.forest import layout as layouts
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.generate.serving.alone import Alone
from tunewright.generate.serving.desk import Desk
from tunewright.generate.serving.jobs import Job
from tunewright.generate.serving.request import EngineSettings, EngineStatus, Failed, Hear, Heard, Request
from tunewright.models.packing import Packing
from tunewright.models.text_format import ANSWER_START

if TYPE_CHECKING:
    from tunewright.generate.bank import AdapterBank
    from tunewright.models.base import Base

_ENDLESS = 1 << 31  # tokens, of a model that was made for rows of any length
_RATE_S = 10.0  # over which the rate of tokens is taken
_EAGER_S = 1.0  # what a refused request is told to wait at least, in seconds

_log = logging.getLogger("tunewright.engine")


class Ticket:
    """A request that was taken on."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine, self._job = engine, job

    def cancel(self) -> None:
        """Calls the request off: its answers end before the next pass, as they stand. Done before, it does nothing."""
        self._job.wanted = False
        self._engine.wake()


class Engine:
    """Answers requests to one base, with adapters of its own side by side.

    A model that shares no prefixes, or an encoder-decoder, answers one request after another.

    Args:
        base: Its model is adopted (`forest.layout.adopt`) if it is not; it may be what a method made of one, which then
            answers everything.
        settings: What the engine may take.
        listener: Hears of how the model is computed.

    Raises:
        ModelError: If the model writes no text.
        InputError: If the memory holds next to nothing.
    """

    def __init__(
        self, base: Base, *, settings: EngineSettings | None = None, listener: events.Listener = events.ignore
    ) -> None:
        self.base, self.settings = base, settings or EngineSettings()
        layouts.adopt(base.model, listener=listener)
        inner = layouts.unwrap(base.model)
        if getattr(inner, "reads_both_ways", False):
            raise ModelError(f"{type(inner).__name__} writes no text", hint="Use a causal model or an encoder-decoder.")
        self.shares = layouts.shares(base.model) and not is_encoder_decoder(base.model)
        with torch.inference_mode():
            self._desk: Desk | Alone = Desk(base.model, self.settings) if self.shares else Alone(base.model)
        self._made_for = getattr(inner.config.get_text_config(), "max_position_embeddings", None) or math.inf
        self._bank: AdapterBank | None = None
        self._change = threading.Condition()
        self._arrived: deque[Job] = deque()
        self._forgotten: deque[str] = deque()  # adapters whose prefixes the thread is to forget
        self._open: set[Job] = set()  # requests that are not over
        self._thread: threading.Thread | None = None
        self._packing: Packing | None = None
        self._closing = self._halted = False
        self._requests = self._failed = 0
        self._rates: deque[tuple[float, int]] = deque()
        self._seconds = 0.0  # that a request takes, of late

    @property
    def longest(self) -> int:
        """Tokens of a prompt and its answer together that can ever fit."""
        return int(min(self.settings.longest or math.inf, self._made_for, self._desk.longest, _ENDLESS))

    @property
    def stopping(self) -> bool:
        """Whether it takes nothing on: it was stopped, or was not started."""
        return self._closing or self._thread is None

    def start(self) -> None:
        """Starts the thread; one that runs goes on."""
        with self._change:
            if self._thread is None:
                if self.settings.packs:
                    with torch.inference_mode():
                        self._packing = Packing(self.base.model)
                self._closing = self._halted = False
                self._thread = threading.Thread(target=self._run, name="tunewright-engine", daemon=True)
                self._thread.start()

    def stop(self, drain_s: float = 0.0) -> None:
        """Takes nothing on any more, lets what runs and waits end for so many seconds, and ends the thread.

        What has not ended by then fails.
        """
        with self._change:
            thread, self._closing = self._thread, True
            self._change.notify_all()
        if thread is None:
            return
        thread.join(drain_s)
        with self._change:
            self._halted = True
            self._change.notify_all()
        thread.join()
        self._thread = None
        if self._packing is not None:
            self._packing.undo()

    def submit(self, request: Request, hear: Hear) -> Ticket:
        """Takes a request on.

        Args:
            request: What is asked for.
            hear: Called in the engine's own thread with all that is to be said, in order; it must not wait.
        Raises:
            InputError: If it can never fit, or if something in it does not fit the model.
            UnknownNameError: If its adapter is not loaded.
            BusyError: If as many wait as may; says when to ask again.
        """
        self._check(request)
        key = request.adapter

        def noted(heard: Heard) -> None:
            if isinstance(heard, Failed):
                self._failed += 1
            hear(heard)

        job = Job(request, noted, self.base.chat.decode)
        with self._change:
            if key and key not in self.adapters:
                raise UnknownNameError("adapter", key, self.adapters)
            if self.stopping:
                raise BusyError("The engine is stopped, and takes no requests", retry_after_s=self._wait_s())
            if len(self._arrived) + len(self._desk.waiting) >= self.settings.queue_limit:
                raise BusyError(f"{self.settings.queue_limit} requests wait already", retry_after_s=self._wait_s())
            self._open.add(job)
            self._requests += 1
            self._arrived.append(job)
            self._change.notify_all()
        return Ticket(self, job)

    def wake(self) -> None:
        """Has the thread look for what has changed."""
        with self._change:
            self._change.notify_all()

    # Adapters.

    @property
    def adapters(self) -> tuple[str, ...]:
        """Keys of the adapters that are loaded."""
        return () if self._bank is None else tuple(self._bank.keys)

    def can_load(self, folder: Path) -> bool:
        """Whether an adapter can answer beside others; if not, it takes an engine of its own.

        Raises:
            ModelError: If there is no adapter in the folder, or one of another base.
        """
        return self._holds_adapters and self._at_hand().can_hold(folder)

    def load(self, key: str, folder: Path) -> None:
        """Loads an adapter; it waits for the pass under way.

        Raises:
            ModelError: If it cannot be held beside others, or does not fit the base.
        """
        if not self._holds_adapters:
            raise ModelError("This model takes no adapters beside its own", where=str(folder))
        bank = self._at_hand()
        bank.load(key, folder)

    def drop(self, key: str) -> None:
        """Drops an adapter, and what was read with it.

        Raises:
            BusyError: If requests of it are not over.
        """
        with self._change:
            count = sum(job.request.adapter == key for job in self._open)
            if count:
                raise BusyError(f"Adapter '{key}' answers {count} requests", retry_after_s=self._wait_s())
            self._at_hand().drop(key)
            self._forgotten.append(key)

    def bytes_of(self, key: str) -> int:
        """Memory that an adapter takes."""
        return self._at_hand().bytes_of(key)

    @property
    def _holds_adapters(self) -> bool:
        return self.shares and not hasattr(self.base.model, "get_base_model")

    def _at_hand(self) -> AdapterBank:
        from tunewright.generate.bank import AdapterBank

        with self._change:
            if self._bank is None:
                self._bank = AdapterBank(self.base)
                self._desk.use_adapters(self._bank)
            return self._bank

    # What it says of itself.

    def status(self) -> EngineStatus:
        """What it is doing, and has done."""
        desk = self._desk
        pages, used, held, page_bytes = desk.pages
        return EngineStatus(
            rows=len(desk.rows),
            max_rows=desk.max_rows,
            reading=len(desk.reading),
            waiting=len(self._arrived) + len(desk.waiting),
            pages_total=pages,
            pages_used=used,
            pages_held=held,
            page_bytes=page_bytes,
            tokens_per_s=self._tokens_per_s(),
            requests=self._requests,
            failed=self._failed,
            prompt_tokens=desk.prompt_tokens,
            cached_tokens=desk.cached_tokens,
            completion_tokens=desk.completion_tokens,
            passes=desk.passes,
            put_back=desk.put_back,
            adapters=self.adapters,
        )

    def _tokens_per_s(self) -> float:
        """Tokens chosen by second, of late."""
        with self._change:
            since = time.monotonic() - _RATE_S
            counts = [count for at, count in self._rates if at >= since]
            return (counts[-1] - counts[0]) / _RATE_S if counts else 0.0

    def _wait_s(self) -> float:
        """Seconds until a place in the queue may be free."""
        waiting = len(self._arrived) + len(self._desk.waiting) + 1
        turns = self._seconds * waiting / self._desk.max_rows
        return float(max(_EAGER_S, math.ceil(turns)))

    # The thread.

    def _check(self, request: Request) -> None:
        """Refuses what can never be answered."""
        wanted, longest = len(request.prompt) + request.limit, self.longest
        if wanted > longest:
            raise InputError(
                f"The prompt's {len(request.prompt)} tokens and an answer of {request.limit} are {wanted} together, "
                f"and at most {longest} fit",
                where="prompt",
                hint="Shorten the prompt, or ask for fewer tokens.",
            )
        words = int(layouts.unwrap(self.base.model).get_input_embeddings().weight.shape[0])
        prompt = request.prompt
        if is_encoder_decoder(self.base.model):
            if prompt[-1] != ANSWER_START or request.prompt_logprobs is not None:
                raise InputError("An encoder-decoder's source ends where its answer begins, and is not scored")
            prompt = prompt[:-1]
        if not all(0 <= token < words for token in prompt):
            raise InputError(f"The prompt has a token outside of the vocabulary's 0 to {words - 1}", where="prompt")
        request.choosing.check(words)

    def _run(self) -> None:
        error: Exception = TunewrightError("The engine was stopped before the answer was whole")
        try:
            with torch.inference_mode():
                while self._has_work():
                    self._step()
        except Exception as fault:
            _log.exception("The engine stops, since a pass could not be given up")
            error = fault
        finally:
            with self._change:
                self._closing = True
                left = list(self._open)
                self._open.clear()
                self._arrived.clear()
            for job in left:
                job.fail(error)
            with torch.inference_mode():
                self._desk.fail(error)

    def _has_work(self) -> bool:
        """Waits until there is something to do, and hands it over; False once all is to end."""
        with self._change:
            while not (self._arrived or self._desk.busy or self._closing):
                self._change.wait()
            if self._halted or not (self._arrived or self._desk.busy):
                return False
            while self._forgotten:
                self._desk.forget_adapter(self._forgotten.popleft())
            for job in self._arrived:
                self._desk.add(job)
            self._arrived.clear()
            return True

    def _step(self) -> None:
        try:
            self._desk.step()
        except Exception as error:  # a fault of ours: those at hand are told, and the next requests find an engine
            _log.exception("A pass was given up")
            self._desk.fail(error)
        now = time.monotonic()
        with self._change:
            for job in [job for job in self._open if job.over]:
                self._open.remove(job)
                self._seconds = job.seconds if not self._seconds else 0.9 * self._seconds + 0.1 * job.seconds
            self._rates.append((now, self._desk.completion_tokens))
            while self._rates[0][0] < now - _RATE_S:
                self._rates.popleft()
