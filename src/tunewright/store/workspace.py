"""The workspace: one folder with a database, artifacts, runs and a cache."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.base.errors import WorkspaceError
from tunewright.base.files import disk_guard, write_text
from tunewright.store import artifacts, lineage, queue, records, releases, runs
from tunewright.store.artifacts import Fill, Stored
from tunewright.store.database import Database, open_database
from tunewright.store.lineage import Lineage
from tunewright.store.queue import State, Task, Wish
from tunewright.store.records import Change, Order, Page, Record
from tunewright.store.releases import Release
from tunewright.store.runs import Run, Status

FOLDER = ".tunewright"
LEFTOVER_AFTER_S = 24 * 3600
_AT_ONCE = 500


@dataclass(frozen=True)
class Workspace:
    """An open workspace. Any number of processes may use one at the same time.

    Args:
        root: Its folder.
        cache: Base models and tokenised data: safe to delete.
    """

    root: Path
    cache: Path
    database: Database

    @classmethod
    def open(cls, path: str | Path | None = None, *, create: bool = True) -> Workspace:
        """Opens a workspace, made first where there is none.

        Args:
            path: Its folder. Without one: $TUNEWRIGHT_HOME, else the nearest `.tunewright` in the working directory
                or above it, else a new `.tunewright` in the working directory.
            create: Whether it may be made.

        Raises:
            WorkspaceError: If there is none and none may be made, or it cannot be written or read.
        """
        root = _locate(path)
        if not create and not root.is_dir():
            raise WorkspaceError(
                "There is no workspace here",
                where=str(root),
                hint="The first `tunewright run RECIPE` makes one; --workspace names another.",
            )
        cache = Path(os.environ.get("TUNEWRIGHT_CACHE") or root / "cache").expanduser().absolute()
        for folder in (root, cache):
            _make_writable(folder)
        if not (root / ".gitignore").exists():
            write_text(root / ".gitignore", "*\n")
        database = open_database(root)
        _remove_leftovers(root)
        return cls(root, cache, database)

    @property
    def reviews(self) -> Path:
        """The folder of the sessions in which people look at answers."""
        return self.root / "reviews"

    def close(self) -> None:
        """Closes the database's connections; the workspace opens them again where it is used again."""
        self.database.engine.dispose()

    def put(
        self,
        kind: str,
        fill: Fill,
        *,
        manifest: Mapping[str, Any],
        parents: Sequence[str] = (),
        producer: str = "",
    ) -> Stored:
        """Stores an artifact under the hash of its content.

        Equal payloads share one artifact, and each producer is recorded. The manifest given stands in what is
        returned and in the provenance; look-ups give the first producer's, or that of the producer they name.

        Args:
            kind: What it is: dataset, adapter, report.
            fill: Writes the payload into the empty folder it is given.
            manifest: What the producer says about it: plain JSON values.
            parents: Hashes of the artifacts it was made from.
            producer: The id of the run that made it.

        Raises:
            WorkspaceError: If a parent is unknown.
            DiskFullError: If the payload does not fit; nothing is left behind.
        """
        return artifacts.put(
            self.root, self.database, kind, fill, manifest=manifest, parents=parents, producer=producer
        )

    def artifact(self, hash_or_prefix: str, kind: str | None = None, *, producer: str | None = None) -> Stored:
        """The artifact whose hash begins so; its files are there and have their size (`verify` reads them whole).

        Args:
            producer: The run whose manifest is wanted, where several made it; none: the first.

        Raises:
            WorkspaceError: If none or several match, if it is damaged, or if the producer did not make it.
        """
        return artifacts.find(self.root, self.database, hash_or_prefix, kind, producer)

    def artifacts(self, kind: str | None = None) -> list[Stored]:
        """All artifacts, or those of one kind, newest first; damaged ones too."""
        return artifacts.listed(self.root, self.database, kind)

    def lineage(self, hash_or_prefix: str, kind: str | None = None) -> Lineage:
        """What an artifact was made from, and that in turn, to the beginning.

        Raises:
            WorkspaceError: If none or several artifacts match.
        """
        return lineage.trace(self.database, hash_or_prefix, kind)

    def start_run(self, name: str, kind: str, recipe: Mapping[str, Any]) -> Run:
        """A new run with a folder of its own; queued until `run.lock()` begins the work."""
        return runs.start(self.root, self.database, name, kind, recipe)

    def find_run(self, id_or_name: str, kind: str | None = None) -> Run:
        """The run with this id or beginning of an id, or the newest one of this name.

        Raises:
            WorkspaceError: If none, or several ids, match.
        """
        return runs.find(self.root, self.database, id_or_name, kind)

    def runs(
        self,
        *,
        name: str | None = None,
        kind: str | None = None,
        status: Status | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, newest first."""
        return runs.listed(self.root, self.database, name=name, kind=kind, status=status, limit=limit)

    def add_release(
        self,
        name: str,
        *,
        adapter: str,
        dataset: str,
        run: str,
        base: str,
        base_hash: str,
        template: Mapping[str, Any],
        evaluation: Mapping[str, Any],
        recipe: Mapping[str, Any],
    ) -> Release:
        """Adds a release under the name's next version, 1 at first; the fields are those of `Release`.

        The newest version is returned as it is where it says the same, so that a resumed run adds nothing twice.

        Raises:
            WorkspaceError: If the adapter, the dataset or the run is not in this workspace.
        """
        said = {
            "base": base,
            "base_hash": base_hash,
            "template": template,
            "evaluation": evaluation,
            "recipe": recipe,
        }
        return releases.add(self.database, name, adapter=adapter, dataset=dataset, run=run, said=said)

    def amend_release(self, label: str, evaluation: Mapping[str, Any]) -> Release:
        """Puts a fuller evaluation into a release: what was found out about it after it was made.

        Raises:
            UnknownNameError: If there is no such release.
        """
        return releases.amend(self.database, label, evaluation)

    def releases(self, name: str | None = None) -> list[Release]:
        """All releases, or all versions of one, newest first."""
        return releases.listed(self.database, name)

    def find_release(self, label: str) -> Release:
        """The newest release of a name, or the one that `name@2` says.

        Raises:
            UnknownNameError: If there is none; says what it may have meant.
            WorkspaceError: If the workspace has no release at all.
        """
        return releases.find(self.database, label)

    def add_record(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        id: str,
        parent: str = "",
        project: str = "default",
        created_at: int | None = None,
    ) -> Record:
        """Adds an object of the server's: a file, a job, a batch.

        Args:
            id: Unique among its kind; `records.new_id` makes one.
            parent: The id of what it belongs to.
            project: Whose it is.
            created_at: Unix time in seconds; none: now.

        Raises:
            InputError: If there is one with this id, or a text in it cannot be stored or sent.
        """
        return records.add(self.database, kind, body, id=id, parent=parent, project=project, created_at=created_at)

    def record(self, kind: str, id: str, *, project: str | None = None) -> Record:
        """One record, of any project where none is given.

        Raises:
            NoSuchRecordError: If there is none, or it is another project's.
        """
        return records.find(self.database, kind, id, project)

    def records(
        self,
        kind: str,
        *,
        parent: str | None = None,
        project: str | None = None,
        after: str | None = None,
        limit: int = 20,
        order: Order = "desc",
        where: Mapping[str, str | None] | None = None,
    ) -> Page:
        """A page of records in the order in which they were added, or the newest first.

        Args:
            after: The id of the record that the page follows; it may have been removed meanwhile.
            where: Fields of the body, `status` or `metadata.team`, and their texts; None: the field is null or absent.

        Raises:
            InputError: If no record has the id `after`.
        """
        return records.listed(
            self.database, kind, parent=parent, project=project, after=after, limit=limit, order=order, where=where
        )

    def each_record(
        self,
        kind: str,
        *,
        parent: str | None = None,
        project: str | None = None,
        order: Order = "asc",
        where: Mapping[str, str | None] | None = None,
    ) -> Iterator[Record]:
        """All records that fit, some hundreds in memory at a time; the arguments are those of `records`."""
        after: str | None = None
        while True:
            page = self.records(
                kind, parent=parent, project=project, after=after, limit=_AT_ONCE, order=order, where=where
            )
            yield from page.records
            if not page.has_more:
                return
            after = page.records[-1].id

    def change_record(self, kind: str, id: str, change: Change) -> Record:
        """Changes a record's body: `change` is given the present one and returns the next, in one transaction.

        `change` holds up every other writer, so it takes no time, and writes nothing to the workspace itself.

        Raises:
            NoSuchRecordError: If there is none.
        """
        return records.change(self.database, kind, id, change)

    def remove_record(self, kind: str, id: str) -> None:
        """Removes a record; those that belong to it stay.

        Raises:
            NoSuchRecordError: If there is none.
        """
        records.remove(self.database, kind, id)

    def enqueue(self, kind: str, id: str, *, memory_bytes: int = 0, priority: int = 0) -> Task:
        """Queues long work for a worker to claim.

        A task that waits, runs or rests stays as it is; one that is done is queued again.
        """
        return queue.enqueue(self.database, kind, id, memory_bytes=memory_bytes, priority=priority)

    def task(self, id: str) -> Task:
        """A task of the queue.

        Raises:
            NoSuchRecordError: If there is none.
        """
        return queue.find(self.database, id)

    def tasks(self, kinds: Collection[str] | None = None, *, states: Collection[State] | None = None) -> list[Task]:
        """Tasks of these kinds and states, or all, in the order in which they are claimed."""
        return queue.listed(self.database, kinds, states)

    def ask(self, id: str, wish: Wish) -> Task:
        """Asks for a task to be cancelled, paused or resumed.

        A running one's owner sees it at its next `renew`. One that nobody works on is at once done, paused or queued,
        and the task that is returned says so. After "cancel" nothing else counts.

        Raises:
            NoSuchRecordError: If there is no such task.
            InputError: If it has ended.
        """
        return queue.ask(self.database, id, wish)


def _locate(path: str | Path | None) -> Path:
    given = path or os.environ.get("TUNEWRIGHT_HOME")
    if given:
        return Path(given).expanduser().absolute()
    here = Path.cwd()
    found = (folder / FOLDER for folder in (here, *here.parents) if (folder / FOLDER).is_dir())
    return next(found, here / FOLDER)


def _make_writable(folder: Path) -> None:
    try:
        with disk_guard(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise WorkspaceError(
            "A file stands where the workspace's folder should be",
            where=str(folder),
            hint="Move it away, or choose another folder with --workspace.",
        ) from None
    except OSError as error:
        raise _not_writable(folder) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _not_writable(folder)


def _not_writable(folder: Path) -> WorkspaceError:
    return WorkspaceError(
        "This workspace folder cannot be written",
        where=str(folder),
        hint="Get write access to it, or choose another with --workspace or $TUNEWRIGHT_HOME.",
    )


def _remove_leftovers(root: Path) -> None:
    """Removes temporary files and folders that killed processes left behind more than a day ago."""
    oldest = time.time() - LEFTOVER_AFTER_S
    for leftover in [
        *root.glob(".*.part"),
        *root.glob("artifacts/*/.*.part"),
        *root.glob("runs/*/.*.part"),
        *root.glob("uploads/.*.part"),
    ]:
        try:
            newest = max(entry.stat().st_mtime for entry in (leftover, *leftover.rglob("*")))
            if newest >= oldest:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # another process cleans up too, or has just settled it
