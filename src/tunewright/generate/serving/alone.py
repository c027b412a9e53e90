"""Requests answered one after another, for models that share no prefixes and for encoder-decoders.

Such a model keeps what it has read in a form of its own (`generate.rows`, `generate.seq2seq`). A request's samples are
rows side by side.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from tunewright.base.errors import TunewrightError
from tunewright.forest import Path, build
from tunewright.forest.score import run
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.generate.rows import RowReader
from tunewright.generate.seq2seq import SourceReader
from tunewright.generate.serving.jobs import Answer, Job
from tunewright.generate.serving.passes import Adapters, Asked, Head


class Alone:
    """Requests in their order; as `desk.Desk`, one at a time and without pages.

    Args:
        model: Adopted, in evaluation mode.
    """

    max_rows = 1
    longest = math.inf
    pages = (0, 0, 0, 0)

    def __init__(self, model: Any) -> None:
        self._model, self._head = model, Head(model)
        self._is_seq2seq = is_encoder_decoder(model)
        self._reader: RowReader | SourceReader | None = None
        self.waiting: deque[Job] = deque()
        self.reading: list[Job] = []
        self.rows: list[Answer] = []
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = self.passes = self.put_back = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows or self.waiting)

    def jobs(self) -> Iterator[Job]:
        """All requests at hand, some of them several times."""
        yield from self.waiting
        yield from (answer.job for answer in self.rows)

    def use_adapters(self, adapters: Adapters) -> None:
        """There are none here but the model's own."""
        raise TunewrightError("A model that answers one request at a time was given adapters")

    def forget_adapter(self, key: str) -> None:
        """There are none here but the model's own."""

    def add(self, job: Job) -> None:
        """Takes a request on."""
        self.waiting.append(job)

    def step(self) -> None:
        """Writes a token of each of the request's answers; an error fails the request."""
        for unwanted in {id(job): job for job in self.jobs() if not job.wanted}.values():
            unwanted.call_off()
        self.waiting = deque(job for job in self.waiting if not job.over)
        if self.rows and self.rows[0].job.over:
            self.rows = []
        if not self.busy:
            return
        job = self.rows[0].job if self.rows else self.waiting.popleft()
        try:
            if not self.rows:
                self._begin(job)
            if self.rows:
                self._write()
            self.passes += 1
        except Exception as error:
            job.fail(error)
        if job.over:
            self.rows, self._reader = [], None

    def fail(self, error: Exception) -> None:
        """Fails all requests at hand."""
        for job in {id(job): job for job in self.jobs()}.values():
            job.fail(error)
        self.waiting.clear()
        self.rows, self._reader = [], None

    def _begin(self, job: Job) -> None:
        """Reads a request's prompt."""
        request = job.request
        job.begin(0)
        self.prompt_tokens += len(request.prompt)
        if request.prompt_logprobs is not None:
            self._score(job)
        if not request.limit:
            for answer in job.answers:
                answer.end("length")
            return
        prompts = [request.prompt] * request.samples
        self._reader = (SourceReader if self._is_seq2seq else RowReader)(self._model, prompts)
        self.rows = list(job.answers)

    def _score(self, job: Job) -> None:
        prompt = np.array(job.request.prompt, dtype=np.int32)
        if len(prompt) < 2:
            return
        weights = np.ones(len(prompt), dtype=np.float32)
        weights[0] = 0.0
        states = run(self._model, build([Path(prompt, weights, group=0, row=0)], shared=False))
        job.scores += self._head.score(states, prompt[1:].tolist(), job.request.prompt_logprobs or 0, "")

    def _write(self) -> None:
        """Chooses a token of each answer, and reads it."""
        assert self._reader is not None
        job = self.rows[0].job
        asked = []
        for answer in self.rows:
            token = answer.ahead[0] if answer.ahead else None
            mask = None
            if token is None and answer.constraint is not None and not answer.ended:
                mask = answer.constraint.mask()
            asked.append(Asked(answer.state, "", job.request.top_logprobs, token, mask))
        for answer, chosen in zip(self.rows, self._head.choose(self._reader.hidden_BD, asked), strict=True):
            if isinstance(chosen, Exception):
                raise chosen
            if not answer.ended:
                self.completion_tokens += 1
                answer.take(chosen)
        if not job.over:
            # Answers that have ended are read on with whatever they had last: rows stay side by side.
            self._reader.read([answer.tokens[-1] if answer.tokens else 0 for answer in self.rows])
