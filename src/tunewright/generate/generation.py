"""What decoding gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer.

    Args:
        tokens: Its tokens, without the one that ended it.
        stopped: Whether a stop token ended it; False where it was cut at the limit.
        logprob: Sum of its tokens' log-probabilities, the stop token's included, in nats.
        reference_logprob: The same of the reference, where one was given; else not a number.
    """

    tokens: list[int]
    stopped: bool
    logprob: float
    reference_logprob: float
