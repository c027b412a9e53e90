"""Answers that are being written: what has been chosen so far, and what ends them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunewright.forest import Path
from tunewright.generate.generation import Generation
from tunewright.generate.sampling import chances
from tunewright.generate.writing import Decode, TextStream
from tunewright.recipe.sampling import Sampling

OnToken = Callable[[int, int], None]  # row, token


@dataclass(frozen=True)
class Rules:
    """How answers are chosen, and what ends them.

    Args:
        limit: Longest answer, in tokens; a longer one is cut.
        stop_ids: Tokens that end an answer, and are no part of it.
        stop_texts: Texts that end an answer, however its tokens cut them.
        decode: The text of an answer's tokens; needed for `stop_texts`.
        sampling: How tokens are drawn.
        samples: Answers to each prompt.
    """

    limit: int
    stop_ids: frozenset[int]
    stop_texts: tuple[str, ...]
    decode: Decode | None
    sampling: Sampling
    samples: int

    def start(self, row: int, prompt: Sequence[int], on_token: OnToken | None = None) -> list[Draft]:
        """The prompt's answers, still empty; of several, `on_token` hears of the first."""
        return [Draft(self, row, prompt, sample, None if sample else on_token) for sample in range(self.samples)]


class Draft:
    """An answer that is being written.

    Args:
        rules: What ends it.
        row: The prompt's place in the call.
        prompt: Its tokens.
        sample: Which of the prompt's answers it is.
        on_token: Called with the row and each token.
    """

    def __init__(self, rules: Rules, row: int, prompt: Sequence[int], sample: int, on_token: OnToken | None) -> None:
        self.row, self.tokens = row, list[int]()
        self._rules, self._prompt, self._sample, self._on_token = rules, prompt, sample, on_token
        self._logprobs: list[float] = []
        self._stopped = False
        self._ended_by: int | None = None
        self._text: str | None = None
        self._shown: list[str] = []
        self._began = self._ended = math.nan

    def begin(self) -> None:
        """Notes that its prompt begins to be read."""
        self._began = time.perf_counter()

    @cached_property
    def _random(self) -> random.Random:
        """What it draws from."""
        return chances(self._rules.sampling.seed or 0, self._prompt, self._sample)

    def chance(self) -> float:
        """A number in [0, 1) for its next token; 0 where nothing is drawn."""
        return 0.0 if self._rules.sampling.greedy else self._random.random()

    def take(self, token: int, logp: float) -> bool:
        """Notes its next token and that token's log-probability; whether it goes on."""
        rules = self._rules
        self._logprobs.append(logp)
        self._ended = time.perf_counter()
        if token in rules.stop_ids:
            self._stopped, self._ended_by = True, token
            return False
        self.tokens.append(token)
        if self._on_token:
            self._on_token(self.row, token)
        if rules.stop_texts and self._found_stop_text(token):
            return False
        return len(self.tokens) < rules.limit

    def _found_stop_text(self, token: int) -> bool:
        """Whether a stop text has come up with a token; keeps what stands in front of the first."""
        self._shown.append(self._stream.add(token))
        if self._stream.stopped:
            self._text, self._stopped = "".join(self._shown), True
        return self._stream.stopped

    @cached_property
    def _stream(self) -> TextStream:
        assert self._rules.decode
        return TextStream(self._rules.decode, self._rules.stop_texts)

    def result(self, reference_logprobs: list[float] | None, further: Sequence[Generation] = ()) -> Generation:
        """The answer as it stands."""
        return Generation(
            self.tokens,
            self._stopped,
            self._logprobs,
            reference_logprobs,
            self._text,
            tuple(further),
            self._ended_by,
            self._ended - self._began,
        )


@dataclass(frozen=True)
class Asked:
    """A prompt that is to be answered.

    Args:
        row: Its place in the call.
        prompt: Its tokens.
        reference: An answer to be scored behind it; None for none.
        drafts: Its answers.
    """

    row: int
    prompt: Sequence[int]
    reference: Sequence[int] | None
    drafts: list[Draft]

    def begin(self) -> None:
        """Notes that it begins to be read."""
        for draft in self.drafts:
            draft.begin()

    def path(self, start: int = 0) -> Path:
        """A path that scores the reference behind the prompt; without one, whichever token, so that the prompt is read.

        Args:
            start: Where in the prompt it begins.
        """
        prompt, answer = self.prompt[start:], [0] if self.reference is None else self.reference
        weights = np.zeros(len(prompt) + len(answer), dtype=np.float32)
        weights[len(prompt) :] = 1.0
        return Path(np.array([*prompt, *answer], dtype=np.int32), weights, group=self.row, row=self.row)


def results(drafts: Sequence[Draft], reference_logprobs: list[float] | None) -> Generation:
    """A prompt's answers as one: the first, and the others as its `further` ones."""
    first, *others = drafts
    return first.result(reference_logprobs, [other.result(reference_logprobs) for other in others])
