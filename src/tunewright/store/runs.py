"""Runs: one start of a recipe, its status, its manifest and its stream of events."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import filelock
from sqlalchemy import Connection, Row, Select, insert, select, update

from tunewright.base import events as stream
from tunewright.base.errors import (
    DatabaseAwayError,
    RunLockedError,
    TunewrightError,
    WorkspaceError,
    did_you_mean,
)
from tunewright.base.events import Event
from tunewright.base.files import disk_guard
from tunewright.store import tables
from tunewright.store.database import Database
from tunewright.store.values import now, plain

Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
End = Literal["succeeded", "failed", "cancelled", "interrupted"]

FLUSH_EVERY_S = 1.0
FLUSH_AT_EVENTS = 256
MOST_WAITING_EVENTS = 10_000
_SAME_MOMENT = timedelta(microseconds=1)
# Long enough for another process's look at the lock to be over, short enough not to be felt.
_LOCK_TIMEOUT_S = 0.5
_ID_LETTERS = "abcdefghjkmnpqrstvwxyz0123456789"


@dataclass(frozen=True)
class Recorded:
    """An event of a run as it was recorded; `seq` grows along the stream, with gaps."""

    seq: int
    at: datetime
    event: Event

    def as_json(self) -> dict[str, Any]:
        """The event as `--json`, the log file and the API show it."""
        return {"seq": self.seq, "at": self.at.isoformat(), **stream.as_json(self.event)}


class Run:
    """One start of a recipe. What can change (status, manifest, error) is read afresh each time.

    `emit` may be called from several threads; the rest is for the thread that works on the run.
    """

    def __init__(self, row: Row[Any], folder: Path, database: Database) -> None:
        self.id: str = row.id
        self.name: str = row.name
        self.kind: str = row.kind
        self.recipe: dict[str, Any] = row.recipe
        self.created_at: datetime = row.created_at
        self.folder = folder
        self._database = database
        self._pending: list[tuple[datetime, Event]] = []
        self._pending_guard = threading.Lock()
        self._flushed_at = time.monotonic()
        # Whether what is pending may have been written by an attempt whose end was not heard.
        self._is_unsure = False

    def __repr__(self) -> str:
        return f"Run({self.id!r}, name={self.name!r}, kind={self.kind!r})"

    @property
    def status(self) -> Status:
        """Where the run stands. A run whose process died is interrupted."""
        status: Status = self._settled().status
        return status

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run has resolved and found so far."""
        manifest: dict[str, Any] = self._row().manifest
        return manifest

    @property
    def error(self) -> dict[str, Any] | None:
        """Why the run failed, as `TunewrightError.as_json` says it."""
        error: dict[str, Any] | None = self._row().error
        return error

    @property
    def started_at(self) -> datetime | None:
        """When work on it began last; none before the first `lock`."""
        moment: datetime | None = self._row().started_at
        return moment

    @property
    def finished_at(self) -> datetime | None:
        """When it ended; none while it has not."""
        moment: datetime | None = self._row().finished_at
        return moment

    def as_json(self) -> dict[str, Any]:
        """The run as `--json` prints it."""
        row = self._settled()
        times = {name: getattr(row, name) for name in ("created_at", "started_at", "finished_at")}
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "status": row.status,
            "folder": str(self.folder),
            "recipe": self.recipe,
            "manifest": row.manifest,
            "error": row.error,
            **{name: moment.isoformat() if moment else None for name, moment in times.items()},
        }

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for this process, and marks it as running.

        A run left without `finish`, by an error or a killed process, counts as interrupted.

        Raises:
            RunLockedError: If another process, or another part of this one, works on the run.
        """
        lock = filelock.FileLock(self._lock_file, timeout=_LOCK_TIMEOUT_S)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RunLockedError(
                f"Another process is working on the run {self.id} ({self.name})",
                where=str(self.folder),
                hint="Wait for it, or end it; to work beside it, start a run of its own (without --resume).",
            ) from None
        try:
            self._update(status="running", started_at=now(), finished_at=None, error=None)
            yield
            self.flush()
        except BaseException as error:
            try:
                self.flush()
            except TunewrightError as second:
                # What went wrong first is what the user must see, as when the disk is full for both.
                error.add_note(f"The run's last events were not written either: {second}")
            raise
        finally:
            lock.release()

    def emit(self, event: Event) -> None:
        """Appends an event. Metrics and progress are written in batches, all else at once; a `Listener`."""
        with self._pending_guard:
            moment = now()
            if self._pending and moment <= self._pending[-1][0] < moment + _SAME_MOMENT:
                moment = self._pending[-1][0] + _SAME_MOMENT  # events are told apart by their moments
            self._pending.append((moment, event))
            often = isinstance(event, stream.Metrics) or (
                isinstance(event, stream.Stage) and event.status == "progress"
            )
            waited_s = time.monotonic() - self._flushed_at
            if not often or waited_s >= FLUSH_EVERY_S or len(self._pending) >= FLUSH_AT_EVENTS:
                try:
                    self._flush()
                except DatabaseAwayError:
                    # The work does not end because its database restarts: these go with the next ones.
                    if len(self._pending) >= MOST_WAITING_EVENTS:
                        raise

    def flush(self) -> None:
        """Writes the events that still wait."""
        with self._pending_guard:
            self._flush()

    def events(self, kind: str | None = None) -> list[Event]:
        """The run's events in order, or those of one kind: message, stage, metrics, artifact."""
        return [recorded.event for recorded in self.log(kind)]

    def log(self, kind: str | None = None, *, after: int = 0) -> list[Recorded]:
        """The run's events with number and time, those after a number only: for readers that follow a run."""
        self.flush()
        events = tables.events.c
        query = select(events.seq, events.at, events.event).where(events.run_id == self.id, events.seq > after)
        if kind is not None:
            query = query.where(events.kind == kind)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(events.seq)).all()
        return [Recorded(row.seq, row.at, stream.from_json(row.event)) for row in rows]

    def update_manifest(self, **values: Any) -> None:
        """Sets fields of the manifest; the others stay."""
        new = plain(values, "manifest")
        runs = tables.runs
        with self._database.write() as connection:
            query = select(runs.c.manifest).where(runs.c.id == self.id).with_for_update()
            manifest = {**connection.execute(query).scalar_one(), **new}
            connection.execute(update(runs).where(runs.c.id == self.id).values(manifest=manifest))

    def finish(self, status: End, error: BaseException | Mapping[str, Any] | None = None) -> None:
        """Ends the run: writes what still waits, then status and error."""
        self.flush()
        self._update(status=status, finished_at=now(), error=_error_as_json(error))

    @property
    def _lock_file(self) -> Path:
        return self.folder / ".lock"

    def _row(self) -> Row[Any]:
        with self._database.read() as connection:
            return connection.execute(select(tables.runs).where(tables.runs.c.id == self.id)).one()

    def _settled(self) -> Row[Any]:
        """The run's row, after a running one whose process died has become interrupted."""
        row = self._row()
        if row.status != "running":
            return row
        try:
            # Nobody can start the run while this look holds the lock, so the change below cannot hit a living one.
            with filelock.FileLock(self._lock_file, timeout=0):
                runs = tables.runs
                with self._database.write() as connection:
                    died = update(runs).where(runs.c.id == self.id, runs.c.status == "running")
                    connection.execute(died.values(status="interrupted"))
        except filelock.Timeout:
            return row
        return self._row()

    def _update(self, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(tables.runs).where(tables.runs.c.id == self.id).values(**values))

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        if not self._pending:
            return
        rows = [
            {"run_id": self.id, "at": at, "kind": event.kind, "event": plain(stream.as_json(event), "event")}
            for at, event in self._pending
        ]
        self._is_unsure, was_unsure = True, self._is_unsure
        with self._database.write() as connection:
            written = self._written(connection, rows) if was_unsure else set()
            if fresh := [row for row in rows if row["at"] not in written]:
                connection.execute(insert(tables.events), fresh)
        self._is_unsure = False
        self._pending.clear()
        _append_lines(self.folder / "events.jsonl", [{"at": row["at"].isoformat(), **row["event"]} for row in rows])

    def _written(self, connection: Connection, rows: list[dict[str, Any]]) -> set[datetime]:
        """The moments of events that stand in the database already: one that was cut off may have kept them."""
        events, moments = tables.events.c, [row["at"] for row in rows]
        query = select(events.at).where(events.run_id == self.id, events.at.between(min(moments), max(moments)))
        return set(connection.execute(query).scalars())


def start(root: Path, database: Database, name: str, kind: str, recipe: Mapping[str, Any]) -> Run:
    """Makes a run; see `Workspace.start_run`."""
    moment = now()
    while True:
        run_id = f"{moment:%Y%m%d-%H%M%S}-{''.join(secrets.choice(_ID_LETTERS) for _ in range(4))}"
        folder = root / "runs" / run_id
        try:
            with disk_guard(folder):
                folder.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    values = {
        "id": run_id,
        "name": name,
        "kind": kind,
        "status": "queued",
        "recipe": plain(recipe, "recipe"),
        "manifest": {},
        "created_at": moment,
    }
    with database.write() as connection:
        connection.execute(insert(tables.runs).values(**values))
        row = connection.execute(select(tables.runs).where(tables.runs.c.id == run_id)).one()
    return Run(row, folder, database)


def find(root: Path, database: Database, name: str, kind: str | None) -> Run:
    """One run; see `Workspace.find_run`."""
    runs = tables.runs.c
    base = select(tables.runs).order_by(runs.created_at.desc(), runs.id.desc())
    if kind is not None:
        base = base.where(runs.kind == kind)
    with database.read() as connection:
        found = connection.execute(base.where((runs.id == name) | (runs.name == name)).limit(1)).first()
        if found is None and name:
            matches = connection.execute(base.where(runs.id.startswith(name, autoescape=True)).limit(20)).all()
            if len(matches) > 1:
                raise WorkspaceError(
                    f"'{name}' is ambiguous: {', '.join(row.id for row in matches)}", hint="Give more of the run's id."
                )
            found = matches[0] if matches else None
        if found is None:
            names = set(connection.execute(select(runs.name).distinct()).scalars())
            known = f"Known: {', '.join(sorted(names))}." if names else "This workspace has no run yet."
            raise WorkspaceError(
                f"No {kind or ''} run is called '{name}'".replace("  ", " "),
                where=str(root),
                hint=f"{did_you_mean(name, names)}{known}",
            )
    return Run(found, root / "runs" / found.id, database)


def listed(
    root: Path, database: Database, *, name: str | None, kind: str | None, status: Status | None, limit: int | None
) -> list[Run]:
    """Runs, newest first; see `Workspace.runs`."""
    runs = tables.runs.c
    with database.read() as connection:
        running = connection.execute(select(tables.runs).where(runs.status == "running")).all()
    for row in running:
        Run(row, root / "runs" / row.id, database)._settled()
    with database.read() as connection:
        query: Select[Any] = select(tables.runs).order_by(runs.created_at.desc(), runs.id.desc()).limit(limit)
        for column, value in ((runs.name, name), (runs.kind, kind), (runs.status, status)):
            query = query if value is None else query.where(column == value)
        return [Run(row, root / "runs" / row.id, database) for row in connection.execute(query)]


def _error_as_json(error: BaseException | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    if isinstance(error, TunewrightError):
        return error.as_json()
    if isinstance(error, BaseException):
        return {"type": type(error).__name__, "what": str(error) or type(error).__name__, "where": "", "hint": ""}
    found: dict[str, Any] = plain(error, "error")
    return found


def _append_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with disk_guard(path), path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":  # a process was killed in the middle of a line
                file.write(b"\n")
        file.write(text.encode())
