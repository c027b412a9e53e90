"""Rows made by a model, until there are enough: asked for, read, checked, and written as they pass.

The same settings always ask the same, and what was answered is in the client's cache: after an interruption, or a dead
endpoint, the same command goes through the known answers at once and on from there.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from tunewright.base.errors import DataError, EndpointError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import disk_guard
from tunewright.data.synthesis.copies import Copies
from tunewright.endpoints import Client, Refused, Reply, Request

STAGE = "synthesize"
# So many answers in a row without one that is taken end it: more of them cost tokens, and bring nothing.
_PATIENCE = 50

# Why something a model wrote is not taken.
NOT_JSON = "not_json"
INCOMPLETE = "incomplete"
WRONG_FORM = "wrong_form"
UNKNOWN_LABEL = "unknown_label"
UNGROUNDED = "ungrounded"
NOT_ALONE = "does_not_stand_alone"
NEAR_COPY = "near_copy"
JUDGED_WRONG = "judged_wrong"
REFUSED = "refused_by_endpoint"


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that a model wrote.

    Args:
        row: What would be written.
        text: What is compared with other rows.
        question: What a judge is asked about it; empty where there is nothing to judge.
    """

    row: dict[str, Any]
    text: str
    question: str


class Maker(Protocol):
    """What one kind of synthesis asks for, and how it reads the answers."""

    def requests(self) -> Iterator[tuple[Request, Any]]:
        """What to ask, and for whom; it ends where asking on is of no use."""
        ...

    def read(self, text: str, subject: Any) -> Sequence[Draft | str]:
        """The rows in an answer; for each that is no good, why."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """What was made.

    Args:
        rows: How many rows were written.
        wanted: How many were asked for.
        rejected: How many were not taken, by reason, the most frequent first.
        output: The file; each line a JSON object with the row and its `source`.
    """

    rows: int
    wanted: int
    rejected: dict[str, int]
    output: Path


@dataclass
class _Checks:
    """What every row must pass."""

    maker: Maker
    client: Client
    copies: Copies
    judge: bool
    rejected: Counter[str] = field(default_factory=Counter)

    def passed(self, reply: Reply | Refused, subject: Any) -> Iterator[Draft]:
        """The rows in a reply that are taken."""
        if isinstance(reply, Refused):
            self.rejected[REFUSED] += 1
            return
        drafts = []
        for found in self.maker.read(reply.text, subject) or [NOT_JSON]:
            if isinstance(found, str):
                self.rejected[found] += 1
            elif self.copies.is_near(found.text):
                self.rejected[NEAR_COPY] += 1
            else:
                drafts.append(found)
        for draft, is_right in zip(drafts, self._judged(drafts), strict=True):
            if not is_right:
                self.rejected[JUDGED_WRONG] += 1
            elif self.copies.is_near(draft.text):  # of those just taken from the same answer
                self.rejected[NEAR_COPY] += 1
            else:
                self.copies.add([draft.text])
                yield draft

    def _judged(self, drafts: Sequence[Draft]) -> Iterable[bool]:
        if not self.judge:
            return [True] * len(drafts)
        requests = (Request(({"role": "user", "content": draft.question},), max_tokens=8) for draft in drafts)
        return [
            isinstance(reply, Reply) and reply.text.strip().casefold().startswith("yes")
            for reply in self.client.chat_each(requests)
        ]


def make_rows(
    maker: Maker,
    client: Client,
    *,
    rows: int,
    output: Path,
    copies: Copies,
    judge: bool = False,
    listener: Listener = ignore,
) -> Made:
    """Lets a model write rows until there are enough, its maker has nothing more to ask, or it brings none any more.

    Args:
        maker: The kind of rows.
        client: Who is asked.
        rows: How many to make.
        output: A new JSONL file; until it is whole it is called `OUTPUT.part`.
        copies: The rows there are, which new ones must not be near to. New ones are added.
        judge: Whether the model is asked about each row that passed the other checks, and may reject it.
        listener: Hears how many there are, and how many were rejected.

    Raises:
        DataError: If the file is there already, or no row passed.
        EndpointError: If the endpoint fails for good; what was made until then is in `OUTPUT.part`.
    """
    if output.exists():
        raise DataError("This file is there already", where=str(output), hint="Name another with --output.")
    part = output.with_name(f"{output.name}.part")
    checks = _Checks(maker, client, copies, judge)
    listener(Stage(STAGE, "started", total=rows, unit="rows"))
    made = 0
    with disk_guard(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a", encoding="utf-8") as file:
            _claim(file, part)
            try:
                for draft in _drafts(maker, client, checks, rows, listener):
                    file.write(json.dumps(draft.row, ensure_ascii=False) + "\n")
                    made += 1
                    listener(_progress(made, rows, checks.rejected))
                    if made == rows:
                        break
            except EndpointError as error:
                hint = f"{error.hint} The {made:,} rows made so far are in {part}.".strip()
                raise EndpointError(error.what, where=error.where, hint=hint) from error
            finally:
                _sync(file)
        rejected = dict(checks.rejected.most_common())
        if not made:
            told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in rejected.items())
            part.unlink()
            raise DataError(
                f"Of all that the model wrote nothing could be taken: {told}",
                where=client.endpoint.model,
                hint="Try a larger model, or look at what it answers with --kind, --grounding and --seed.",
            )
        part.replace(output)
    if made < rows:
        listener(Message(f"{made:,} of {rows:,} rows were made.", "warning"))
    listener(Stage(STAGE, "finished", made, rows, "rows"))
    return Made(made, rows, rejected, output)


def _drafts(maker: Maker, client: Client, checks: _Checks, rows: int, listener: Listener) -> Iterator[Draft]:
    """All rows that pass, in the order in which they are asked for."""
    subjects: deque[Any] = deque()

    def requests() -> Iterator[Request]:
        for request, subject in maker.requests():
            subjects.append(subject)
            yield request

    made = barren = 0
    for reply in client.chat_each(requests()):
        barren += 1
        for draft in checks.passed(reply, subjects.popleft()):
            made, barren = made + 1, 0
            yield draft
        listener(_progress(made, rows, checks.rejected))
        if barren == _PATIENCE:
            told = f"The model's last {barren} answers held no row that could be taken, and it is not asked further."
            listener(Message(told, "warning"))
            return


def _progress(made: int, rows: int, rejected: Counter[str]) -> Stage:
    return Stage(STAGE, "progress", made, rows, "rows", note=f"{rejected.total():,} rejected" if rejected else "")


def _claim(file: IO[str], part: Path) -> None:
    """Empties a file that nobody else writes into.

    Raises:
        DataError: If somebody does.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DataError(
            "Another process is making this file right now", where=str(part), hint="Name another with --output."
        ) from None
    file.truncate(0)


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
