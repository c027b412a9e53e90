"""What decoding gives."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer.

    Args:
        tokens: Its tokens, without the stop token that ended it.
        stopped: Whether a stop token or a stop text ended it; False where it was cut at the limit.
        logprobs: Log-probability of each of its tokens under the model, the stop token's last, in nats; whatever was
            drawn from, it is the model's own, neither tempered nor cut.
        reference_logprobs: The same of each of the reference's tokens; None where no reference was given.
        text: What stands in front of the stop text that ended it; None where none did.
        further: Further answers to the same prompt, where several were drawn.
        ended_by: The stop token that ended it; None where none did.
        seconds: Time from when its prompt began to be read until it ended. Answers that are written side by side wait
            for one another, so this is what one of many takes, and not what it would take alone.
    """

    tokens: list[int]
    stopped: bool
    logprobs: list[float]
    reference_logprobs: list[float] | None = None
    text: str | None = None
    further: tuple[Generation, ...] = ()
    ended_by: int | None = None
    seconds: float = field(default=math.nan, compare=False)

    @property
    def logprob(self) -> float:
        """Sum of its tokens' log-probabilities, the stop token's included, in nats."""
        return math.fsum(self.logprobs)

    @property
    def reference_logprob(self) -> float:
        """Sum of the reference's log-probabilities, in nats; without a reference not a number."""
        return math.nan if self.reference_logprobs is None else math.fsum(self.reference_logprobs)
