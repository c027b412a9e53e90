"""Artifacts: folders named by the hash of what they hold, and where each came from."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, insert, select, update

from tunewright.base.errors import TunewrightError, WorkspaceError
from tunewright.base.files import folder_listing, hash_listing, hash_value, part_directory, settle, write_json
from tunewright.store import tables
from tunewright.store.database import Database, insert_once
from tunewright.store.values import now, plain

SHORTEST_PREFIX = 4
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{1,64}")

Fill = Callable[[Path], object]
Key = tuple[str, str]  # kind and hash


@dataclass(frozen=True)
class Stored:
    """An artifact of a workspace.

    Args:
        path: The folder that holds its payload.
        manifest: What its producer says about it.
        bytes: Size of the payload.
        files: Relative path and SHA-256 of each file in it.
    """

    kind: str
    hash: str
    path: Path
    manifest: dict[str, Any]
    bytes: int
    created_at: datetime
    files: dict[str, str]

    def verify(self) -> None:
        """Reads the whole payload again.

        Raises:
            WorkspaceError: If a file is missing, changed, or was added; names the first such files.
        """
        listing = folder_listing(self.path) if self.path.is_dir() else {}
        if hash_listing(listing) == self.hash:
            return
        faults = [f"'{name}' is missing" for name in self.files if name not in listing]
        faults += [
            f"'{name}' was changed" for name in self.files if listing.get(name, self.files[name]) != self.files[name]
        ]
        faults += [f"'{name}' does not belong to it" for name in listing if name not in self.files]
        raise damaged(self.kind, self.hash, self.path, faults)

    def as_json(self) -> dict[str, Any]:
        """The artifact as `--json` prints it."""
        return {
            "kind": self.kind,
            "hash": self.hash,
            "path": str(self.path),
            "bytes": self.bytes,
            "created_at": self.created_at.isoformat(),
            "files": self.files,
            "manifest": self.manifest,
        }


def damaged(kind: str, content: str, path: Path, faults: Sequence[str]) -> WorkspaceError:
    """The error for an artifact whose payload is not what its name says."""
    shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
    return WorkspaceError(
        f"The {kind} {content[:12]} is damaged: {shown}",
        where=str(path),
        hint="Put the folder back from a copy, or remove it and run the recipe that made it again.",
    )


def put(
    root: Path,
    database: Database,
    kind: str,
    fill: Fill,
    *,
    manifest: Mapping[str, Any],
    parents: Sequence[str],
    producer: str,
) -> Stored:
    """Stores what `fill` writes; see `Workspace.put`."""
    if not _KIND.fullmatch(kind):
        raise TunewrightError(f"'{kind}' is no artifact kind: lower case letters, digits, dash and underscore")
    said = plain(manifest, "manifest")
    with database.read() as connection:
        ancestors = [_find(connection, parent, None) for parent in dict.fromkeys(parents)]
    folder = root / "artifacts" / kind
    with part_directory(folder, "put") as temporary:
        fill(temporary)
        listing = _payload(temporary, kind)
        sizes = {name: (temporary / name).stat().st_size for name in listing}
        content = hash_listing(listing)
        path = folder / content
        if not settle(temporary, path):
            _heal(temporary, path, content)
    stored = Stored(kind, content, path, said, sum(sizes.values()), now(), listing)
    if not path.with_suffix(".json").exists():
        write_json(path.with_suffix(".json"), {key: value for key, value in stored.as_json().items() if key != "path"})
    with database.write() as connection:
        _record(connection, stored, sizes)
        _record_provenance(connection, stored, ancestors, producer)
    return stored


def find(root: Path, database: Database, prefix: str, kind: str | None, producer: str | None) -> Stored:
    """One artifact, its files checked to be there; see `Workspace.artifact`."""
    with database.read() as connection:
        key = _find(connection, prefix, kind)
        artifacts = tables.artifacts.c
        stored = _load(connection, root, and_(artifacts.kind == key[0], artifacts.hash == key[1]))[0]
        if producer is not None:
            stored = replace(stored, manifest=_manifest_of(connection, key, producer))
        sizes = _sizes(connection, key)
    faults = []
    for name, size in sizes.items():
        file = stored.path / name
        if not file.is_file():
            faults.append(f"'{name}' is missing")
        elif file.stat().st_size != size:
            faults.append(f"'{name}' was changed")
    if faults:
        raise damaged(stored.kind, stored.hash, stored.path, faults)
    return stored


def listed(root: Path, database: Database, kind: str | None) -> list[Stored]:
    """All artifacts, newest first; see `Workspace.artifacts`."""
    with database.read() as connection:
        return _load(connection, root, tables.artifacts.c.kind == kind if kind else None)


def resolve(connection: Connection, prefix: str, kind: str | None = None) -> Key:
    """Kind and full hash of the one artifact that a hash or its beginning names."""
    return _find(connection, prefix, kind)


def _payload(temporary: Path, kind: str) -> dict[str, str]:
    links = [entry for entry in temporary.rglob("*") if entry.is_symlink()]
    if links:
        # What a link points at may change later, and then the hash would lie.
        raise TunewrightError(f"The payload of a {kind} holds a link, '{links[0].relative_to(temporary)}'")
    listing = folder_listing(temporary)
    if not listing:
        raise TunewrightError(f"The payload of a {kind} is empty")
    return listing


def _heal(temporary: Path, path: Path, content: str) -> None:
    """Puts a sound payload in the place of a damaged one; leaves a sound one alone."""
    if path.is_dir() and hash_listing(folder_listing(path)) == content:
        return
    aside = Path(tempfile.mkdtemp(prefix=".damaged.", suffix=".part", dir=path.parent))
    # Another process that heals the same folder may be first; both hold the same.
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside / path.name)
    settle(temporary, path)
    shutil.rmtree(aside, ignore_errors=True)


def _record(connection: Connection, stored: Stored, sizes: Mapping[str, int]) -> None:
    row = {
        "kind": stored.kind,
        "hash": stored.hash,
        "manifest": stored.manifest,
        "bytes": stored.bytes,
        "created_at": stored.created_at,
    }
    if not insert_once(connection, tables.artifacts, row):
        return
    rows = [
        {
            "artifact_kind": stored.kind,
            "artifact_hash": stored.hash,
            "path": name,
            "bytes": sizes[name],
            "sha256": content,
        }
        for name, content in stored.files.items()
    ]
    connection.execute(insert(tables.files), rows)


def _record_provenance(connection: Connection, stored: Stored, ancestors: Sequence[Key], producer: str) -> None:
    identity = hash_value([stored.kind, stored.hash, producer, [list(key) for key in ancestors]])
    row = {
        "id": identity,
        "artifact_kind": stored.kind,
        "artifact_hash": stored.hash,
        "producer": producer,
        "manifest": stored.manifest,
        "created_at": stored.created_at,
    }
    if not insert_once(connection, tables.provenance, row):
        # The same producer again, as after a resume: what it says now counts.
        provenance = tables.provenance
        connection.execute(update(provenance).where(provenance.c.id == identity).values(manifest=stored.manifest))
        return
    rows = [
        {"provenance_id": identity, "position": position, "parent_kind": kind, "parent_hash": content}
        for position, (kind, content) in enumerate(ancestors)
    ]
    if rows:
        connection.execute(insert(tables.parents), rows)


def _find(connection: Connection, prefix: str, kind: str | None) -> Key:
    artifacts = tables.artifacts.c
    if not _HEX.fullmatch(prefix) or len(prefix) < SHORTEST_PREFIX:
        raise WorkspaceError(
            f"'{prefix}' is no artifact's hash: hexadecimal digits, {SHORTEST_PREFIX} at least",
            hint="List them with: tunewright models list --json.",
        )
    query: Select[Any] = select(artifacts.kind, artifacts.hash).where(artifacts.hash.startswith(prefix)).limit(20)
    if kind:
        query = query.where(artifacts.kind == kind)
    found = [(row.kind, row.hash) for row in connection.execute(query.order_by(artifacts.hash, artifacts.kind))]
    if not found:
        raise WorkspaceError(f"No {kind or 'artifact'} has a hash that begins with '{prefix}'")
    if len(found) > 1:
        names = ", ".join(f"{a_kind} {content[: max(12, len(prefix) + 4)]}" for a_kind, content in found)
        raise WorkspaceError(f"'{prefix}' is ambiguous: {names}", hint="Give more digits, or the kind.")
    return found[0]


def _load(connection: Connection, root: Path, condition: Any) -> list[Stored]:
    artifacts, files = tables.artifacts.c, tables.files.c
    query = select(tables.artifacts).order_by(artifacts.created_at.desc(), artifacts.hash)
    file_query = (
        select(files.artifact_kind, files.artifact_hash, files.path, files.sha256)
        .join(tables.artifacts, and_(artifacts.kind == files.artifact_kind, artifacts.hash == files.artifact_hash))
        .order_by(files.path)
    )
    if condition is not None:
        query, file_query = query.where(condition), file_query.where(condition)
    listings: dict[Key, dict[str, str]] = {}
    for kind, content, name, sha256 in connection.execute(file_query):
        listings.setdefault((kind, content), {})[name] = sha256
    return [_stored(row, root, listings[row.kind, row.hash]) for row in connection.execute(query)]


def _stored(row: Row[Any], root: Path, listing: dict[str, str]) -> Stored:
    path = root / "artifacts" / row.kind / row.hash
    return Stored(row.kind, row.hash, path, row.manifest, row.bytes, row.created_at, listing)


def _sizes(connection: Connection, key: Key) -> dict[str, int]:
    files = tables.files.c
    query = select(files.path, files.bytes).where(files.artifact_kind == key[0], files.artifact_hash == key[1])
    return {row.path: row.bytes for row in connection.execute(query.order_by(files.path))}


def _manifest_of(connection: Connection, key: Key, producer: str) -> dict[str, Any]:
    made = tables.provenance.c
    query = select(made.manifest).where(
        made.artifact_kind == key[0], made.artifact_hash == key[1], made.producer == producer
    )
    manifest: dict[str, Any] | None = connection.execute(query.order_by(made.created_at.desc())).scalars().first()
    if manifest is None:
        raise WorkspaceError(f"The {key[0]} {key[1][:12]} was not made by '{producer}'")
    return manifest
