"""Requests' answers as they wait for their prompt, and as they are written; and what rows have in common."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from tunewright.generate.serving.attending import Behind, Stretch
from tunewright.generate.serving.jobs import Answer, Job
from tunewright.generate.serving.prefixes import Node, Tokens


@dataclass(eq=False)
class Entry:
    """Answers whose beginning is to be read before they are written, or written on.

    Args:
        job: Their request.
        answers: Those that have no row yet.
        tokens: What stands in front of their next token: virtual tokens, prompt, and what was written before.
        key: Of the prefix tree.
        scored: Whether the model's word on the prompt's tokens is wanted.
        node: Where the tokens but the last end in the tree, once they stand there.
    """

    job: Job
    answers: list[Answer]
    tokens: Tokens
    key: Hashable
    scored: bool = False
    node: Node | None = None


@dataclass(eq=False)
class Row:
    """An answer that is being written.

    Args:
        answer: Which.
        key: Of its prefix tree.
        node: The last of its tokens that stand in the tree.
        start: Position of its tail's first token.
        newest: Its last token, not read yet. What follows of necessity stands behind it (`Answer.ahead`).
        length: Tokens of its tail that are read.
    """

    answer: Answer
    key: Hashable
    node: Node
    start: int
    newest: int
    length: int = 0

    @property
    def depth(self) -> int:
        """Tokens that are read, its prompt's included."""
        return self.start + self.length

    @property
    def adapter(self) -> str:
        """Key of the adapter that it is written with."""
        return self.answer.job.request.adapter


@dataclass(frozen=True)
class Reading:
    """Tokens of an entry that the next pass reads: from one of a node's tokens on."""

    entry: Entry
    node: Node
    first: int
    count: int


def pass_order(rows: Sequence[Row], adapters: Sequence[str]) -> list[int]:
    """The rows as they stand in a pass: those of one adapter side by side, in the order in which these are held."""
    places = {key: place for place, key in enumerate(adapters)}
    return sorted(range(len(rows)), key=lambda place: places.get(rows[place].adapter, -1))


def look_behind(rows: Sequence[Row], device: torch.device) -> Behind:
    """What stands in front of rows' tails: each stretch of slots once, with the rows that see it."""
    seen: dict[Node, list[int]] = {}
    for place, row in enumerate(rows):
        for node in row.node.line():
            if node.begin >= row.start:
                break
            seen.setdefault(node, []).append(place)
    found: list[Stretch] = []
    last_of: dict[Node, int] = {}  # the stretch that a node ends with
    for node, places in seen.items():  # those above come before those below
        above = last_of.get(node.parent) if node.parent is not None else None
        depth = node.begin
        for start, stop in node.spans:
            before = None if above is None else found[above]
            if before and above is not None and before.rows == tuple(places) and before.span[1] == start:
                found[above] = Stretch((before.span[0], stop), before.depth, before.rows, before.level)
            else:
                above = len(found)
                found.append(Stretch((start, stop), depth, tuple(places), before.level + 1 if before else 0))
            depth += stop - start
            last_of[node] = above
    return Behind(torch.tensor([row.start for row in rows], dtype=torch.long, device=device), found)
