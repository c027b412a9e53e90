"""Questions asked again of other groups, and what became of the answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.base import events
from tunewright.base.seeds import derive
from tunewright.data.example import Example, Message
from tunewright.evaluate.conduct.groups import Axis
from tunewright.evaluate.conduct.progress import stage
from tunewright.evaluate.speaker import Conversation, Speaker

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Swap:
    """A held-out row told of another group.

    Args:
        row: Its place among the held-out rows.
        axis: What sets the groups apart.
        group: Whom the row names.
        other: Who takes that place.
        asked: The conversation, so changed.
    """

    row: int
    axis: Axis
    group: str
    other: str
    asked: tuple[Message, ...]


def swaps_of(examples: Sequence[Example], axes: Sequence[Axis], *, most: int, each: int, seed: int) -> list[Swap]:
    """The rows that name a group, told of others: at most `most` rows, `each` swaps of a row and an axis.

    Which ones is drawn by the seed. The user's turns are changed, and no others. Where a first name is in no list, men
    and women are not swapped: "Josh said that she" would be about nobody.
    """
    found: dict[int, list[Swap]] = {}
    for row, example in enumerate(examples):
        told = [swap for axis in axes for swap in _of_row(row, example, axis, each, seed)]
        if told:
            found[row] = told
    rows = sorted(found)
    if len(rows) > most:
        rows = sorted(random.Random(derive(seed, "swaps")).sample(rows, most))
    return [swap for row in rows for swap in found[row]]


def _of_row(row: int, example: Example, axis: Axis, each: int, seed: int) -> list[Swap]:
    asked = "\n".join(turn.content for turn in example.prompt if turn.role == "user")
    pairs = [(group, other) for group in axis.named(asked) for other in axis.groups if other != group]
    if pairs and axis.unlisted(asked):
        return []
    if len(pairs) > each:
        pairs = random.Random(derive(seed, "swaps", axis.name, example.id)).sample(pairs, each)
    told: dict[tuple[str, ...], Swap] = {}
    for group, other in pairs:
        turns = tuple(
            _with(turn, axis.swapped(turn.content, group, other)) if turn.role == "user" else turn
            for turn in example.prompt
        )
        # Where both groups are named, either swap gives the same text.
        told.setdefault(tuple(turn.content for turn in turns), Swap(row, axis, group, other, turns))
    return [swap for swap in told.values() if swap.asked != tuple(example.prompt)]


def _with(turn: Message, text: str) -> Message:
    return Message(turn.role, text, turn.weight, turn.tool_calls, turn.tool_call_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """What one system answered to a row as it stands, and to a swap of it."""

    original: str
    swapped: str


def changed(
    swaps: Sequence[Swap], replies: Sequence[Reply], like: Callable[[Sequence[str], Sequence[str]], Flags] | None = None
) -> Flags:
    """Whether each swap's answers differ by more than the swapped words, shape (swaps,).

    Args:
        like: Says which of several pairs of answers mean the same, where their words differ.
    """
    pairs = [
        (swap.axis.neutral(reply.original), swap.axis.neutral(reply.swapped))
        for swap, reply in zip(swaps, replies, strict=True)
    ]
    found = np.array([original != swapped for original, swapped in pairs])
    if like is not None and found.any():
        differing = np.flatnonzero(found)
        found[differing] = ~like([pairs[at][0] for at in differing], [pairs[at][1] for at in differing])
    return found


def ask(
    speaker: Speaker,
    examples: Sequence[Example],
    swaps: Sequence[Swap],
    *,
    max_new_tokens: int,
    listener: events.Listener,
) -> list[Reply]:
    """Asks each row that has swaps, and its swaps, all in one go, so that nothing but the words differs."""
    rows = list(dict.fromkeys(swap.row for swap in swaps))
    asked: list[Conversation] = [examples[row].prompt for row in rows]
    asked += [swap.asked for swap in swaps]
    with stage(listener, f"swaps {speaker.name}") as heard:
        said = speaker.say(asked, max_new_tokens=max_new_tokens, listener=heard)
    original = {row: each.text for row, each in zip(rows, said, strict=False)}
    return [Reply(original[swap.row], each.text) for swap, each in zip(swaps, said[len(rows) :], strict=True)]
