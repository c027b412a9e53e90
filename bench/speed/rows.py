"""What a trainer sees of the data, in one form for both: the steps, in order, each a list of rows.

A row is a list of sequences (one, or the chosen and the rejected one), a sequence is its tokens and its mask, one
number a token, 1 where the token is learned. What stands behind the last learned token is left out everywhere: in a
causal model it changes nothing, and neither side should pay for it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

Tokens = list[int]
Row = list[list[Tokens]]
Step = list[Row]


def trimmed(tokens: Sequence[int], learned: Sequence[int]) -> list[Tokens]:
    """A sequence up to its last learned token."""
    end = max(place for place, mark in enumerate(learned) if mark) + 1
    return [[int(token) for token in tokens[:end]], [int(mark) for mark in learned[:end]]]


def write(file: Path, steps: Iterable[Step]) -> None:
    """One line a step; behind those that are there."""
    with file.open("a", encoding="utf-8") as stream:
        for step in steps:
            stream.write(json.dumps(step, separators=(",", ":")) + "\n")


def read(file: Path) -> Iterator[Step]:
    """What `write` wrote."""
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def in_steps(pieces: Iterable[Step], sizes: Sequence[int]) -> list[Step]:
    """Rows that were seen piece by piece, as steps of these sizes; whatever is more is a step of its own."""
    every = [row for piece in pieces for row in piece]
    ends = list(itertools.accumulate(sizes))
    steps = [every[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return [step for step in [*steps, every[ends[-1] if ends else 0 :]] if step]


def nodes_and_sources(step: Step) -> tuple[int, int]:
    """Distinct prefixes of a step's sequences that must be computed, and how many of them predict something.

    Counted on its own, without our forest: one node for each different beginning that predicts a token, or stands
    before one that does.
    """
    children: dict[tuple[int, int], int] = {}
    sources: set[int] = set()
    for row in step:
        for tokens, learned in row:
            node = 0
            for token, next_learned in zip(tokens, learned[1:], strict=False):
                node = children.setdefault((node, token), len(children) + 1)
                if next_learned:
                    sources.add(node)
    return len(children), len(sources)


def tokens_of(step: Step) -> int:
    """Tokens of all sequences of a step."""
    return sum(len(tokens) for row in step for tokens, _ in row)
