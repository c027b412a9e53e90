"""How well a model predicts documents: nothing is generated, each token is scored once.

As lm-evaluation-harness scores rolling log-likelihoods: a document's first token follows the begin token, or the
end-of-document token where the model has none; a long document is cut into windows of the trained length, each
beginning with the last token of the one before. All of a document's bytes are therefore paid for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.data.blocks import cut
from tunewright.data.documents import Section
from tunewright.evaluate.answer import Answers, evaluation_mode, template_hash
from tunewright.metrics import Answer

if TYPE_CHECKING:
    from tunewright.forest import Path
    from tunewright.models.base import Base

_WINDOWS_AT_ONCE = 64


def score_documents(
    model: Any,
    base: Base,
    sections: Iterable[Section],
    *,
    max_length: int,
    node_budget: int,
    system: str = "tuned",
    listener: events.Listener = events.ignore,
) -> Answers:
    """Scores documents; each is an `Answer` with `nats`, `tokens` and `bytes`, and without texts.

    Args:
        model: The base's model, or the base with an adapter; adopted (`forest.layout.adopt`), in any mode.
        base: How it reads documents.
        sections: Of the documents, one after another.
        max_length: Longest window, in tokens.
        node_budget: Forest nodes that are scored at once.
        system: What to call the system.
        listener: Hears a stage "score documents", counted in documents.

    Raises:
        InputError: If there are no documents.
    """
    from tunewright.forest.score import score_paths

    counts: list[list[int]] = []  # tokens and bytes of each document
    names: list[str] = []
    nats: dict[int, float] = {}
    started = time.perf_counter()

    def windows() -> Iterator[Path]:
        plain = base.chat.plain
        for number, (name, parts) in enumerate(groupby(sections, key=lambda section: section.document)):
            names.append(name)
            counts.append(count := [0, 0])
            for window in cut(chain([[plain.prefix]], _tokens(base, parts, count)), max_length):
                count[0] += len(window) - 1
                yield _path(window, number)

    with evaluation_mode(model):
        waiting: list[Path] = []
        for path in chain(windows(), [None]):
            if path is not None:
                waiting.append(path)
            if len(waiting) == _WINDOWS_AT_ONCE or path is None:
                logp = score_paths(model, waiting, node_budget=node_budget)
                for window, value in zip(waiting, logp, strict=True):
                    nats[window.row] = nats.get(window.row, 0.0) - float(value)
                waiting = []
                listener(events.Stage("score documents", "progress", len(names), 0, "documents"))
    if not names:
        raise InputError("There are no documents to score", where=system)
    answers = tuple(
        Answer(name, "", "", nats=nats[number], tokens=tokens, bytes=size)
        for number, (name, (tokens, size)) in enumerate(zip(names, counts, strict=True))
    )
    return Answers(
        system, answers, time.perf_counter() - started, template=template_hash(base.chat, {"format": "text"})
    )


def _tokens(base: Base, parts: Iterable[Section], count: list[int]) -> Iterator[list[int]]:
    for part in parts:
        count[1] += len(part.text.encode(errors="surrogatepass"))
        yield base.chat.plain.tokens(part.text)


def _path(window: list[int], number: int) -> Path:
    from tunewright.forest import Path

    weights = np.ones(len(window), dtype=np.float32)
    weights[0] = 0.0
    return Path(np.array(window, dtype=np.int32), weights, number, number)
