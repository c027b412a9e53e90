"""Who reads and who writes: requests as they come, their pages, and one pass of the model after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base.errors import OutOfMemoryError, TunewrightError
from tunewright.forest.virtual import virtual_count
from tunewright.generate.drawing import Chosen
from tunewright.generate.serving.attending import Behind, Newest, PassLayout, Run
from tunewright.generate.serving.jobs import Answer, Job
from tunewright.generate.serving.pages import PAGE, Pages, cut, joined
from tunewright.generate.serving.passes import Adapters, Asked, Reader, merged
from tunewright.generate.serving.prefixes import Node, Prefixes, Tokens
from tunewright.generate.serving.request import EngineSettings
from tunewright.generate.serving.rows import Entry, Reading, Row, look_behind, pass_order
from tunewright.generate.serving.store import Store, divide, first_states

# An answer is let in where so much of it fits beside what the others may still write; what is longer finds its pages
# as it grows, or waits.
_EXPECTED = 128
# So short a stretch is copied to the tails of all rows behind it: asking it apart would take longer.
_SHORT = 48
# Tokens of a row that are read in one pass at most, where several follow of necessity.
_MOST_AHEAD = 16


class Desk:
    """Requests that are answered together by a model that shares prefixes.

    Args:
        model: Adopted, in evaluation mode.
        settings: What it may take.
    """

    def __init__(self, model: Any, settings: EngineSettings) -> None:
        self._settings = settings
        known = first_states(model)
        sizes = divide(known, memory_bytes=settings.memory_bytes, rows=settings.max_rows)
        self._store = Store(sizes, next(iter(known.values()))[0])
        self._prefixes = Prefixes(Pages(sizes.pages))
        self._reader = Reader(model)
        # Virtual tokens stand in front of all others, under numbers that no vocabulary has, and are never read again.
        self._lead = np.arange(-virtual_count(model), 0, dtype=np.int32)
        if len(self._lead):
            node = self._prefixes.hold("", self._lead)
            count = len(self._lead)
            self._store.fill_slots({x: (k[:, :count], v[:, :count]) for x, (k, v) in known.items()}, node.spans)
            node.read = count
        self.waiting: deque[Entry] = deque()
        self.reading: list[Entry] = []
        self.rows: list[Row] = []
        self._behind: Behind | None = None
        self._versions: dict[str, int] = {}
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = self.passes = self.put_back = 0

    @property
    def max_rows(self) -> int:
        """Answers that are written side by side."""
        return self._store.sizes.rows

    @property
    def pages(self) -> tuple[int, int, int, int]:
        """Pages in all, those that hold something, those in use, and the bytes of each."""
        pages = self._prefixes.pages
        page_bytes = self._store.sizes.token_bytes * PAGE
        return pages.count, pages.used, pages.count - self._prefixes.within_reach, page_bytes

    @property
    def longest(self) -> int:
        """Tokens of a prompt and its answer that can ever fit."""
        return (self._store.sizes.pages - 3) * PAGE - len(self._lead)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows or self.reading or self.waiting)

    def jobs(self) -> Iterator[Job]:
        """All requests at hand, some of them several times."""
        yield from (entry.job for entry in (*self.waiting, *self.reading))
        yield from (row.answer.job for row in self.rows)

    def use_adapters(self, adapters: Adapters) -> None:
        """Has adapters applied by what they are loaded in."""
        self._reader.adapters = adapters

    def forget_adapter(self, key: str) -> None:
        """Forgets what was read with an adapter; another one of that name shares nothing with it."""
        self._prefixes.drop(self._key_of(key))
        self._versions[key] = self._versions.get(key, 0) + 1

    def add(self, job: Job) -> None:
        """Takes a request on; it waits until it fits."""
        tokens = np.concatenate([self._lead, np.array(job.request.prompt, dtype=np.int32)])
        key = self._key_of(job.request.adapter)
        if job.request.prompt_logprobs is not None:
            key = (key, id(job))  # what was read for others left no states that could be scored
        self.waiting.append(Entry(job, list(job.answers), tokens, key, job.request.prompt_logprobs is not None))

    def step(self) -> None:
        """One pass: lets requests in, reads prompts, and writes a token of each row.

        An error of the model fails all requests in the pass, and no other one.
        """
        self._leave_out()
        self._admit()
        readings = self._plan()
        if not readings and not self.rows:
            self._end_readings()
            return
        try:
            hidden_ND = self._pass(readings)
            self.passes += 1
        except Exception as error:
            for job in {id(job): job for job in self._in_pass(readings)}.values():
                job.fail(error)
            self._leave_out()
            return
        read = sum(reading.count for reading in readings)
        self._note_read(readings, hidden_ND[:read])
        self._write(hidden_ND[read:])

    def fail(self, error: Exception) -> None:
        """Fails all requests at hand."""
        for job in {id(job): job for job in self.jobs()}.values():
            job.fail(error)
        self._leave_out()

    def _in_pass(self, readings: Sequence[Reading]) -> Iterator[Job]:
        yield from (reading.entry.job for reading in readings)
        yield from (row.answer.job for row in self.rows)

    def _key_of(self, adapter: str) -> Hashable:
        return "" if not adapter else (adapter, self._versions.get(adapter, 0))

    # Requests come and go.

    def _leave_out(self) -> None:
        """Ends requests that were called off, and lets go of what is over."""
        for job in {id(job): job for job in self.jobs() if not job.wanted}.values():
            job.call_off()
        self.waiting = deque(entry for entry in self.waiting if not entry.job.over)
        for entry in [entry for entry in self.reading if entry.job.over]:
            self._finish_reading(entry)
        self._drop_rows([place for place, row in enumerate(self.rows) if row.answer.ended or row.answer.job.over])

    def _admit(self) -> None:
        """Lets waiting requests in, in their order, as long as they fit."""
        while self.waiting:
            places = self.max_rows - len(self.rows) - sum(len(entry.answers) for entry in self.reading)
            if places <= 0 or not self._enter(self.waiting[0]):
                return
            self.reading.append(self.waiting.popleft())

    def _enter(self, entry: Entry) -> bool:
        """Gives an entry its pages, if there are enough beside what others may still write."""
        tokens, prefixes = entry.tokens[:-1], self._prefixes
        growing = sum(_pages(answer.left) for answer in entry.answers)
        growing += sum(_pages(answer.left) for other in self.reading for answer in other.answers)
        growing += sum(_pages(row.answer.left) for row in self.rows)
        alone = not self.rows and not self.reading
        if not alone and prefixes.cost(entry.key, tokens) + growing > prefixes.within_reach:
            return False
        try:
            entry.node = prefixes.hold(entry.key, tokens)
        except OutOfMemoryError:
            if not alone:
                return False
            prefixes.clear()  # many short nodes waste the ends of their pages; read anew, it is one
            entry.node = prefixes.hold(entry.key, tokens)
        if not alone and growing > prefixes.within_reach:
            prefixes.release(entry.node)
            entry.node = None
            return False
        cached = sum(node.read for node in entry.node.line()) - len(self._lead)
        if entry.job.begin(cached):
            self.prompt_tokens += len(entry.job.request.prompt)
            self.cached_tokens += cached
        return True

    def _finish_reading(self, entry: Entry) -> None:
        """Lets go of an entry whose answers have rows, or are not wanted any more."""
        self.reading.remove(entry)
        assert entry.node is not None
        self._prefixes.release(entry.node)
        self._forget_private(entry.key, entry.job)

    # What a pass reads.

    def _plan(self) -> list[Reading]:
        """What the next pass reads; entries that are read to their end get rows, as far as there are any."""
        left, planned, found = self._settings.chunk_tokens, dict[Node, int](), list[Reading]()
        for entry in list(self.reading):
            assert entry.node is not None
            whole = True
            for node in entry.node.line():
                have = planned.get(node, node.read)
                count = min(left, len(node.tokens) - have)
                if count:
                    found.append(Reading(entry, node, have, count))
                    planned[node] = have + count
                    left -= count
                if have + count < len(node.tokens):
                    whole = False
                    break
            if whole:
                self._begin_rows(entry)
        return sorted(found, key=lambda reading: reading.entry.job.request.adapter)

    def _begin_rows(self, entry: Entry) -> None:
        """Gives an entry's answers rows."""
        assert entry.node is not None
        if entry.job.request.limit == 0:
            return  # it ends once its prompt is read
        while entry.answers and len(self.rows) < self.max_rows:
            self._prefixes.keep(entry.node)
            answer = entry.answers.pop(0)
            self.rows.append(Row(answer, entry.key, entry.node, entry.node.end, int(entry.tokens[-1])))
            self._behind = None

    def _pass(self, readings: Sequence[Reading]) -> Tensor:
        """States of what is read, and behind it of the rows' newest tokens, in the order of `pass_order`."""
        device = self._reader.device
        if self._behind is None:
            self._behind = look_behind(self.rows, device)
        tokens: list[int] = []
        runs: list[Run] = []
        slots, places = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for reading in readings:
            node, upto = reading.node, reading.first + reading.count
            *above, _ = node.line()
            own, _ = cut(node.spans, upto)
            spans = joined([*(span for one in above for span in one.spans), *own])
            runs.append(Run(len(tokens), reading.count, node.begin + reading.first, spans))
            tokens += node.tokens[reading.first : upto].tolist()
            slots += [np.arange(*span) for span in cut(own, reading.first)[1]]
            places.append(np.arange(node.begin + reading.first, node.begin + upto))
        slot_N, position_N = (torch.from_numpy(np.concatenate(each)).to(device) for each in (slots, places))
        newest = self._newest()
        layout = PassLayout(self._store, runs, slot_N, self._behind, newest)
        segments = [(reading.entry.job.request.adapter, reading.count) for reading in readings]
        for place, nth in zip(newest.rows, newest.nth, strict=True):
            row = self.rows[place]
            tokens.append(row.answer.ahead[nth - 1] if nth else row.newest)
            segments.append((row.adapter, 1))
        return self._reader.states(tokens, torch.cat([position_N, layout.position_T]), layout, merged(segments))

    def _newest(self) -> Newest:
        """What the next pass reads of each row."""
        counts = {}
        adapters = self._reader.adapters
        for place in pass_order(self.rows, () if adapters is None else adapters.keys):
            row = self.rows[place]
            counts[place] = min(row.answer.unread, _MOST_AHEAD, self._store.sizes.tail - row.length)
        rows = [place for place, count in counts.items() for _ in range(count)]
        nth = [number for count in counts.values() for number in range(count)]
        return Newest([row.length for row in self.rows], rows, nth)

    # What a pass gives.

    def _note_read(self, readings: Sequence[Reading], hidden_ND: Tensor) -> None:
        """Notes what was read, and scores it where that is asked for."""
        place = 0
        for reading in readings:
            entry, node = reading.entry, reading.node
            node.read = reading.first + reading.count
            if entry.scored and not entry.job.over:
                follows = node.begin + reading.first + 1
                tokens = entry.tokens[follows : follows + reading.count].tolist()
                states = hidden_ND[place : place + reading.count]
                try:
                    top, adapter = entry.job.request.prompt_logprobs or 0, entry.job.request.adapter
                    entry.job.scores += self._reader.score(states, tokens, top, adapter)
                except TunewrightError as error:
                    entry.job.fail(error)
            place += reading.count
        self._end_readings()

    def _end_readings(self) -> None:
        """Lets go of entries that are read, once all their answers have rows or none is wanted."""
        for entry in list(self.reading):
            assert entry.node is not None
            if entry.answers and entry.job.request.limit:
                continue
            if any(node.read < len(node.tokens) for node in entry.node.line()):
                continue
            for answer in entry.answers:
                answer.end("length")
            self._finish_reading(entry)

    def _write(self, hidden_TD: Tensor) -> None:
        """Has each row take the tokens behind its newest ones."""
        rows = [self.rows[place] for place in self._newest().rows]
        for row, chosen in zip(rows, self._choose(rows, hidden_TD), strict=True):
            row.length += 1
            job = row.answer.job
            if job.over or row.answer.ended:
                continue
            if isinstance(chosen, Exception):
                job.fail(chosen)
                continue
            self.completion_tokens += 1
            row.newest = chosen.token
            try:
                row.answer.take(chosen)
            except TunewrightError as error:  # of its grammar
                job.fail(error)
        self._drop_rows([place for place, row in enumerate(self.rows) if row.answer.ended or row.answer.job.over])
        for place, row in enumerate(self.rows):
            if row.start == row.node.end and row.length < self._store.sizes.tail:
                self._fetch(place)
        for row in [row for row in self.rows if row.length >= self._store.sizes.tail]:
            if row in self.rows:  # and was not put back for another one
                self._settle(row)

    def _choose(self, rows: Sequence[Row], hidden_TD: Tensor) -> list[Chosen | Exception]:
        """The tokens behind states, T of them; `rows` tells each one's row."""
        asked: list[Asked] = []
        for place, row in enumerate(rows):
            answer, request = row.answer, row.answer.job.request
            nth = place - rows.index(row)
            token = answer.ahead[nth] if nth < len(answer.ahead) else None
            mask = None
            if token is None and answer.constraint is not None and not answer.job.over:
                try:
                    mask = answer.constraint.mask()
                except TunewrightError as error:
                    answer.job.fail(error)
            asked.append(Asked(answer.state, request.adapter, request.top_logprobs, token, mask))
        return self._reader.choose(hidden_TD, asked)

    # Rows, and where they keep what they have read.

    def _tokens(self, answer: Answer) -> Tokens:
        """All of an answer's tokens, from the virtual ones on."""
        return np.concatenate([self._lead, np.array([*answer.job.request.prompt, *answer.tokens], dtype=np.int32)])

    def _fetch(self, place: int) -> None:
        """Takes into a row's tail what stands in front of it and is no other row's, or too short to be asked apart."""
        row, most = self.rows[place], self._store.sizes.tail * 3 // 4
        taken: list[Node] = []
        for node in reversed(row.node.line()):
            if row.length + sum(len(one.tokens) for one in (*taken, node)) > most:
                break
            if node.holds > 1 and len(node.tokens) > _SHORT:
                break
            taken.append(node)
        if taken:
            spans = joined([span for node in reversed(taken) for span in node.spans])
            self._store.fetch(place, row.length, spans)
            row.start = taken[-1].begin
            row.length += sum(len(node.tokens) for node in taken)
            self._behind = None

    def _settle(self, row: Row) -> None:
        """Moves a full tail into the tree; where there are no pages, the youngest rows have to wait for theirs."""
        tokens = self._tokens(row.answer)[: row.depth]
        while True:
            try:
                node = self._prefixes.hold(row.key, tokens)
                break
            except OutOfMemoryError:
                youngest = max(self.rows, key=lambda one: (one.answer.job.number, one.answer.sample))
                self._put_back(youngest)
                if youngest is row:
                    return
        self._keep_tail(self.rows.index(row), node)
        self._prefixes.release(row.node)
        row.node, row.start, row.length = node, row.depth, 0
        self._behind = None

    def _keep_tail(self, place: int, node: Node) -> None:
        """Copies of a row's tail what the tree has no keys and values of yet."""
        row = self.rows[place]
        for one in node.line():
            if one.read < len(one.tokens):
                self._store.settle(place, one.begin + one.read - row.start, cut(one.spans, one.read)[1])
                one.read = len(one.tokens)

    def _put_back(self, row: Row) -> None:
        """Has a row wait; what it has written is read again, as far as it is not kept until then."""
        self.put_back += 1
        self.waiting.appendleft(Entry(row.answer.job, [row.answer], self._tokens(row.answer), row.key))
        self._release([self.rows.index(row)])

    def _drop_rows(self, places: Sequence[int]) -> None:
        """Lets rows go; what they have read stays in the tree as long as nobody needs the room."""
        for place in places:
            row = self.rows[place]
            if not row.length or row.answer.job.request.prompt_logprobs is not None:
                continue  # there is nothing, or nobody will ever ask that tree
            try:
                node = self._prefixes.hold(row.key, self._tokens(row.answer)[: row.depth])
            except OutOfMemoryError:  # others need all there is, and this can be read again
                continue
            self._keep_tail(place, node)
            self._prefixes.release(node)
        self._release(places)

    def _release(self, places: Sequence[int]) -> None:
        """Takes rows out; the last ones move into their places."""
        if not places:
            return
        gone = [self.rows[place] for place in places]
        left = len(self.rows) - len(places)
        holes = sorted(place for place in places if place < left)
        last = sorted(set(range(left, len(self.rows))) - set(places))
        for source, target in zip(last, holes, strict=True):
            self._store.move(source, target, self.rows[source].length)
            self.rows[target] = self.rows[source]
        del self.rows[left:]
        self._behind = None
        for row in gone:
            self._prefixes.release(row.node)
        for row in gone:  # once none of them needs its tree, which several answers may share
            self._forget_private(row.key, row.answer.job)

    def _forget_private(self, key: Hashable, job: Job) -> None:
        """Forgets the tree of a request whose prompt was scored, once none of its answers needs it."""
        if job.request.prompt_logprobs is None:
            return
        if key not in [*(row.key for row in self.rows), *(entry.key for entry in self.reading)]:
            self._prefixes.drop(key)


def _pages(tokens: int) -> int:
    """Pages that an answer which may have so many tokens more is expected to take."""
    return -(-min(tokens, _EXPECTED) // PAGE)
