"""What decoding gives."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer.

    Args:
        tokens: Its tokens, without the stop token that ended it.
        stopped: Whether a stop token or a stop text ended it; False where it was cut at the limit.
        logprobs: Log-probability of each of its tokens under the model, the stop token's last, in nats; whatever was
            drawn from, it is the model's own, neither tempered nor cut.
        reference_logprob: The reference's log-probability, where one was given; else not a number.
        text: What stands in front of the stop text that ended it; None where none did.
        further: Further answers to the same prompt, where several were drawn.
    """

    tokens: list[int]
    stopped: bool
    logprobs: list[float]
    reference_logprob: float = math.nan
    text: str | None = None
    further: tuple[Generation, ...] = ()

    @property
    def logprob(self) -> float:
        """Sum of its tokens' log-probabilities, the stop token's included, in nats."""
        return math.fsum(self.logprobs)
