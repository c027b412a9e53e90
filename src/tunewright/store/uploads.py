"""Uploads: files that clients send, and result files that jobs make; each has a record of kind "file".

A file's bytes lie in `uploads/<id>/content`: written under a temporary name, put on disk, renamed, and only then
recorded. So no half file is ever seen, and what a killed process has left behind is nobody's, and is swept away.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sqlalchemy import BigInteger, cast, select

from tunewright.base.errors import InputError, NoSuchRecordError, TooLargeError, WorkspaceError
from tunewright.base.files import disk_guard, part_directory, settle
from tunewright.store import tables
from tunewright.store.records import Record, new_id

if TYPE_CHECKING:
    from tunewright.store.workspace import Workspace

KIND = "file"
FOLDER = "uploads"
LONGEST_FILENAME = 255
NAMELESS = "upload"
# Between a folder's renaming and its record lie milliseconds; after this long its process is dead.
ORPHAN_AFTER_S = 3600
_CONTENT = "content"


class Upload:
    """A file that is being received.

    `filename`, `purpose` and `expires_after_s` may be set until it is kept: forms say them in any order.

    Attributes:
        bytes: How many were written.
        record: The file's, once it is kept.
    """

    def __init__(self, workspace: Workspace, temporary: Path, id: str, file: IO[bytes], limit_bytes: int) -> None:
        self.id, self.limit_bytes = id, limit_bytes
        self.filename, self.purpose, self.project = NAMELESS, "", "default"
        self.expires_after_s: int | None = None
        self.bytes = 0
        self.record: Record | None = None
        self._workspace, self._temporary, self._file = workspace, temporary, file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Appends bytes.

        Raises:
            TooLargeError: If the file becomes larger than it may be.
            DiskFullError: If no room is left.
        """
        if self.bytes + len(data) > self.limit_bytes:
            raise TooLargeError(
                f"The file is larger than {self.limit_bytes:,} bytes, the most that is taken", where="file"
            )
        with disk_guard(self._temporary):
            self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def keep(self) -> Record:
        """Puts the file on disk and records it: from here on it is seen.

        Raises:
            DiskFullError: If no room is left; nothing is left behind.
        """
        folder = _folder(self._workspace, self.id)
        with disk_guard(folder):
            self._file.close()
            settle(self._temporary, folder)
        created_at = int(time.time())
        body = {
            "bytes": self.bytes,
            "filename": clean_filename(self.filename),
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
            "expires_at": None if self.expires_after_s is None else created_at + self.expires_after_s,
            "sha256": self._digest.hexdigest(),
        }
        try:
            self.record = self._workspace.add_record(
                KIND, body, id=self.id, project=self.project, created_at=created_at
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.record


@contextlib.contextmanager
def receive(
    workspace: Workspace,
    *,
    filename: str = NAMELESS,
    purpose: str = "",
    project: str = "default",
    expires_after_s: int | None = None,
    limit_bytes: int,
) -> Iterator[Upload]:
    """Receives a file piece by piece; what is not kept on leaving is gone.

    Raises:
        DiskFullError: If no room is left.
    """
    id = new_id(KIND)
    with part_directory(workspace.root / FOLDER, id) as temporary, (temporary / _CONTENT).open("wb") as file:
        upload = Upload(workspace, temporary, id, file, limit_bytes)
        upload.filename, upload.purpose, upload.project = filename, purpose, project
        upload.expires_after_s = expires_after_s
        yield upload


def find_upload(workspace: Workspace, id: str, *, project: str | None = None) -> Record:
    """A file's record, unless it has expired.

    Raises:
        NoSuchRecordError: If there is none, it is another project's, or its time is over.
    """
    record = workspace.record(KIND, id, project=project)
    if is_expired(record):
        raise NoSuchRecordError(KIND, id)
    return record


def upload_for(workspace: Workspace, id: str, purpose: str, *, project: str, where: str) -> Record:
    """The record of a project's file that is for a purpose.

    Args:
        where: The field of a request that names it.

    Raises:
        InputError: If there is none, or it is for another purpose.
    """
    hint = f"Upload it with purpose '{purpose}'"
    try:
        file = find_upload(workspace, id, project=project)
    except NoSuchRecordError as error:
        raise InputError(f"No such file object: {id}", where=where, hint=f"{hint} first.") from error
    if file.body["purpose"] != purpose:
        raise InputError(f"The file {id} has the purpose '{file.body['purpose']}'", where=where, hint=f"{hint}.")
    return file


def open_upload(workspace: Workspace, record: Record) -> Path:
    """Where a file's bytes lie.

    Raises:
        WorkspaceError: If they are gone, or are not as many as were received.
    """
    path = _folder(workspace, record.id) / _CONTENT
    if not path.is_file() or path.stat().st_size != record.body["bytes"]:
        raise WorkspaceError(
            f"The content of the file {record.id} is missing or was changed",
            where=str(path),
            hint="Put it back from a copy, or delete the file and upload it again.",
        )
    return path


def remove_upload(workspace: Workspace, record: Record) -> None:
    """Removes a file: first what shows it, then its bytes.

    Raises:
        NoSuchRecordError: If it is gone already.
    """
    workspace.remove_record(KIND, record.id)
    shutil.rmtree(_folder(workspace, record.id), ignore_errors=True)


def is_expired(record: Record) -> bool:
    """Whether a file's time is over."""
    expires_at: int | None = record.body.get("expires_at")
    return expires_at is not None and expires_at <= time.time()


def expire_uploads(workspace: Workspace) -> int:
    """Removes files whose time is over; says how many."""
    records = tables.records.c
    expires_at = cast(records.body["expires_at"].as_string(), BigInteger)
    query = select(records.id).where(records.kind == KIND, records.body.is_not(None), expires_at <= int(time.time()))
    with workspace.database.read() as connection:
        ids = list(connection.execute(query).scalars())
    expired = 0
    for id in ids:
        # Another process may sweep too, or the client may delete the file just now.
        with contextlib.suppress(NoSuchRecordError):
            remove_upload(workspace, workspace.record(KIND, id))
            expired += 1
    return expired


def sweep_uploads(workspace: Workspace) -> None:
    """Removes files whose time is over, and bytes that killed processes have left behind, once they are old."""
    expire_uploads(workspace)
    records, folder = tables.records.c, workspace.root / FOLDER
    oldest = time.time() - ORPHAN_AFTER_S
    old = [path for path in (folder.iterdir() if folder.is_dir() else ()) if _written_at(path) < oldest]
    # After the folders, so that a file which was recorded meanwhile is known.
    with workspace.database.read() as connection:
        recorded = select(records.id).where(records.kind == KIND, records.body.is_not(None))
        ids = set(connection.execute(recorded).scalars())
    for path in old:
        if path.name not in ids:
            shutil.rmtree(path, ignore_errors=True)


def clean_filename(name: str) -> str:
    """A file's name without folders and control characters, and not longer than file systems take; its suffix stays."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    shown = "".join(letter for letter in last if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")).strip()
    if shown in ("", ".", ".."):
        return NAMELESS
    if len(shown) <= LONGEST_FILENAME:
        return shown
    suffix = Path(shown).suffix[-16:]
    return shown[: LONGEST_FILENAME - len(suffix)] + suffix


def _folder(workspace: Workspace, id: str) -> Path:
    # Ids come from `new_id` and from operators' tools; none may lead out of the folder.
    if Path(id).name != id or id.startswith("."):
        raise NoSuchRecordError(KIND, id)
    return workspace.root / FOLDER / id


def _written_at(folder: Path) -> float:
    """When an upload's folder was last written to, in Unix time; now, where it was just removed, or is none of ours."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return time.time()
