"""Every error that tunewright raises on purpose.

TunewrightError                 exit 3: our fault, or a broken machine
├── InputError                  exit 2: wrong input, nothing was changed
│   ├── RecipeError             a recipe, or a value given with --set
│   ├── DataError               rows, files, columns, splits
│   ├── ModelError              a base model, an adapter, a download
│   ├── UnknownNameError        a name that is not registered ("did you mean")
│   ├── MissingExtraError       an optional package that is not installed
│   ├── NoSuchRecordError       a record or task that is not there
│   ├── TooLargeError           more bytes than are taken
│   └── WorkspaceError          the workspace, an artifact, a run, a release
│       ├── RunLockedError      another process works on the run
│       └── DatabaseAwayError   the database is not reached, or is locked: try again
├── DiskFullError               exit 2: no room left; what was finished is kept
├── EndpointError               exit 2: a model's endpoint is not reached, refuses, or is spent; answers are kept
│   └── RequestRefusedError     this one request was refused; others may be answered
├── BusyError                   exit 2: there is no place for a request now: ask again
├── OutOfMemoryError            exit 2: the work does not fit in this machine's memory
├── TrainingDivergedError       exit 3: a loss or gradient that is not a number
├── LeaseLostError              exit 3: a task has gone to another worker
├── RankLostError               exit 3: one of several processes that train together is gone
└── GateFailedError             exit 1: it ran, and the answer is no
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

SHOWN_FAULTS = 20


class TunewrightError(Exception):
    """What went wrong, where, and what to do about it.

    Args:
        what: One sentence, without a final full stop.
        where: The place: `file:line`, a field, a name. Printed in front.
        hint: What the user can do, one sentence or more. Printed behind.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        place = f"{where}: " if where else ""
        advice = f" {hint}" if hint else ""
        super().__init__(f"{place}{what}.{advice}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross from one process to another as they are, without being made anew from their text."""
        return type(self).__new__, (type(self), *self.args), self.__dict__

    def as_json(self) -> dict[str, str]:
        """The error as `--json` prints it."""
        return {"type": type(self).__name__, "what": self.what, "where": self.where, "hint": self.hint}


class InputError(TunewrightError):
    """The user's input is wrong; nothing was changed."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe, or a value given with `--set`, is wrong."""


class DataError(InputError):
    """Rows, files, columns or splits are wrong."""


class ModelError(InputError):
    """A base model or adapter cannot be found, read or used."""


class WorkspaceError(InputError):
    """A workspace, artifact, run or release cannot be found, read or used."""


class MissingExtraError(InputError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, *, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package '{package}', which is not installed",
            hint=f"Install it with: pip install 'tunewright[{extra}]'.",
        )


class UnknownNameError(InputError):
    """A name that nothing answers to; says what it may have meant."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        names = sorted(known)
        super().__init__(
            f"{kind} '{name}' is unknown", where=where, hint=f"{did_you_mean(name, names)}Known: {', '.join(names)}."
        )


class RunLockedError(WorkspaceError):
    """Another process works on the run; it may end in a while."""


class DatabaseAwayError(WorkspaceError):
    """The workspace database cannot be reached, or another process keeps it locked; the same may work in a while."""


class NoSuchRecordError(InputError):
    """A record or a task that is not there, or is another project's.

    Attributes:
        kind: What it would be: file, job, batch.
        id: The id that was asked for.
    """

    def __init__(self, kind: str, id: str) -> None:
        self.kind, self.id = kind, id
        super().__init__(f"No {kind} has the id '{id}'")


class TooLargeError(InputError):
    """What was sent has more bytes than are taken."""


class DiskFullError(TunewrightError):
    """No room is left on the disk; finished work is kept."""

    exit_code = 2


class EndpointError(TunewrightError):
    """A model's endpoint cannot be reached, refuses, or its budget is spent; what it has answered is kept."""

    exit_code = 2


class RequestRefusedError(EndpointError):
    """An endpoint refused one request for what stands in it; others may be answered."""


class BusyError(TunewrightError):
    """There is no place for a request now; the same may be taken in a while.

    Args:
        retry_after_s: When it is worth asking again, in seconds from now.
    """

    exit_code = 2
    code = "engine_busy"  # what programs are told over the API

    def __init__(self, what: str, *, retry_after_s: float, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.retry_after_s = retry_after_s


class OutOfMemoryError(TunewrightError):
    """The work does not fit in this machine's memory."""

    exit_code = 2


class TrainingDivergedError(TunewrightError):
    """A loss or a gradient is not a finite number, or the loss left its level for good.

    Args:
        learning_rate: The run's, at its peak.
        has_checkpoint: Whether there is one from before, to go on from.

    Attributes:
        run: The run's id; empty outside of one.
    """

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", learning_rate: float, has_checkpoint: bool
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.learning_rate, self.has_checkpoint, self.run = learning_rate, has_checkpoint, ""


class LeaseLostError(TunewrightError):
    """A task is no longer this worker's: whoever gets this stops, and writes nothing more."""


class RankLostError(TunewrightError):
    """One of several processes that train together is gone; checkpoints are kept."""


class GateFailedError(TunewrightError):
    """Everything ran, and what the recipe calls success was not reached."""

    exit_code = 1


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"Did you mean 'x'? "` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'? " if close else ""


def collect(faults: Sequence[str], *, total: int | None = None) -> str:
    """Joins the first faults into one text, a line each, and says how many more there are."""
    count = len(faults) if total is None else total
    shown = "\n".join(f"  {fault}" for fault in faults[:SHOWN_FAULTS])
    more = count - min(len(faults), SHOWN_FAULTS)
    return f"{shown}\n  … and {more:,} more" if more > 0 else shown
