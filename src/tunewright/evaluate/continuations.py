"""Log-probability of continuations of texts, as other evaluation tools ask for it; many share their beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.evaluate.answer import evaluation_mode

Tokens = Sequence[int]


def score_continuations(
    model: Any,
    pairs: Sequence[tuple[Tokens, Tokens]],
    *,
    longest: int,
    listener: events.Listener = events.ignore,
) -> list[tuple[float, bool]]:
    """Log-probability of each continuation behind its context, and whether greedy decoding would give it.

    Continuations of one context are read as a tree behind it, and contexts as a forest.

    Args:
        model: Adopted (`forest.layout.adopt`), in any mode.
        pairs: Token ids of a context and of its continuation, one token each at least.
        longest: Most tokens that the model reads. A longer pair loses the beginning of its context; the listener is
            told how many did.
        listener: Hears of progress as a stage "score", counted in questions.
    Returns:
        Nats, and whether each token is the most probable one.

    Raises:
        DataError: If a context or a continuation holds no token, or a continuation is longer than the model reads.
    """
    from tunewright.generate.candidates import score_each

    cut = 0
    places: dict[tuple[int, ...], list[int]] = {}
    for number, (context, continuation) in enumerate(pairs):
        # The last token of a pair is predicted, and not read.
        spared = len(context) + len(continuation) - 1 - longest
        if spared >= len(context) and context:
            raise DataError(
                f"A continuation has {len(continuation):,} tokens, and the model reads {longest:,}",
                where=f"pair {number}",
            )
        cut += spared > 0
        places.setdefault(tuple(context[max(spared, 0) :]), []).append(number)
    if cut:
        listener(events.Message(f"{cut:,} contexts were cut at their beginning, to {longest:,} tokens.", "warning"))
    contexts = list(places)
    with evaluation_mode(model):
        scored = score_each(
            model,
            contexts,
            [[pairs[number][1] for number in places[context]] for context in contexts],
            greedy=True,
            listener=listener,
        )
    found: list[tuple[float, bool]] = [(0.0, False)] * len(pairs)
    for context, each in zip(contexts, scored, strict=True):
        assert each.greedy is not None  # it was asked for
        for number, logp, greedy in zip(places[context], each.logp.tolist(), each.greedy.tolist(), strict=True):
            found[number] = (logp, greedy)
    return found
