"""Which slots of a store of keys and values are taken, page by page: numbers alone, no tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tunewright.base.errors import OutOfMemoryError

PAGE = 16  # tokens of a page

Span = tuple[int, int]  # slots: the first, and one past the last


class Pages:
    """Pages of `PAGE` slots each, given out to runs of tokens and taken back.

    A page belongs to every run that has a slot on it: a run that was cut in two on a page has both halves there, and a
    run that goes on behind another begins on what that one left of its last page.

    Args:
        count: Pages in all.
    """

    def __init__(self, count: int) -> None:
        self.count = self.free = count
        self._users = np.zeros(count, dtype=np.int32)
        self._given = np.zeros(count, dtype=np.int32)  # slots of each page that were given out, from its first on

    @property
    def used(self) -> int:
        """Pages that some run has."""
        return self.count - self.free

    def cost(self, tokens: int, behind: int | None = None) -> int:
        """Pages that so many tokens take more, behind a slot or anywhere."""
        return -(-max(0, tokens - self._left(behind)) // PAGE)

    def take(self, tokens: int, behind: int | None = None) -> list[Span]:
        """Slots for a run of tokens, in as few spans as there can be.

        Args:
            tokens: How many; one at least.
            behind: One past the last slot of the run that this one goes on behind, if there is one.
        Raises:
            OutOfMemoryError: If there are not so many free pages; nothing is taken then.
        """
        if self.cost(tokens, behind) > self.free:
            raise OutOfMemoryError(f"{tokens} tokens do not fit on the {self.free} pages that are free")
        spans: list[Span] = []
        left = min(tokens, self._left(behind))
        if left:
            assert behind is not None
            self._users[behind // PAGE] += 1
            self._given[behind // PAGE] += left
            spans.append((behind, behind + left))
            tokens -= left
        after = -(-behind // PAGE) if behind is not None else -1
        while tokens:
            first, pages = self._free_run(after, -(-tokens // PAGE))
            count = min(tokens, pages * PAGE)
            self._users[first : first + pages] = 1
            self._given[first : first + pages] = PAGE
            self._given[first + pages - 1] = count - (pages - 1) * PAGE
            self.free -= pages
            spans.append((first * PAGE, first * PAGE + count))
            tokens -= count
            after = first + pages
        return joined(spans)

    def share(self, slot: int) -> None:
        """Notes that the page of a slot has one run more, since a run was cut there."""
        self._users[slot // PAGE] += 1

    def give_back(self, spans: Iterable[Span]) -> None:
        """Takes back what a run had."""
        for pages in pages_of(spans):
            self._users[pages] -= 1
            empty = self._users[pages] == 0
            self._given[pages][empty] = 0
            self.free += int(empty.sum())

    def _left(self, behind: int | None) -> int:
        """Slots that are left on the page of the run that is gone on behind; none where another has gone on there."""
        if behind is None or behind % PAGE == 0 or self._given[behind // PAGE] != behind % PAGE:
            return 0
        return PAGE - behind % PAGE

    def _free_run(self, wanted_first: int, wanted: int) -> Span:
        """The first of some free pages in a row, and how many of them to take: the wanted ones, or the longest run."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self._users == 0, [False]])))
        starts, ends = edges[::2], edges[1::2]
        here = np.flatnonzero(starts == wanted_first)
        # What goes on right behind is one span with what it follows. Elsewhere the longest run leaves room to go on.
        run = int(here[0]) if len(here) else int((ends - starts).argmax())
        return int(starts[run]), min(wanted, int(ends[run] - starts[run]))


def joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in their order, those in one where one goes on right behind the other."""
    found: list[Span] = []
    for start, stop in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def cut(spans: Sequence[Span], tokens: int) -> tuple[list[Span], list[Span]]:
    """The spans of a run's first tokens, and those of its others."""
    first: list[Span] = []
    for place, (start, stop) in enumerate(spans):
        if tokens < stop - start:
            head = [(start, start + tokens)] if tokens else []
            return first + head, [(start + tokens, stop), *spans[place + 1 :]]
        first.append((start, stop))
        tokens -= stop - start
    return first, []


def pages_of(spans: Iterable[Span]) -> list[slice]:
    """The pages on which spans lie."""
    return [slice(start // PAGE, (stop - 1) // PAGE + 1) for start, stop in spans]
