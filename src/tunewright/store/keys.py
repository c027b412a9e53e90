"""Access keys: who may do what. A key's secret is shown once, when it is made; only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select, update

from tunewright.base.errors import InputError, NoSuchRecordError, UnknownNameError
from tunewright.store import tables
from tunewright.store.records import new_id

if TYPE_CHECKING:
    from tunewright.store.workspace import Workspace

SCOPES = ("read", "infer", "train", "admin")
SECRET_START = "tw-"  # noqa: S105 - how a secret begins, and no secret
LONGEST_NAME = 128
_SECRET_BYTES = 32
_ENDING = 4


@dataclass(frozen=True)
class Key:
    """An access key without its secret.

    Args:
        ending: The secret's last letters, for people to know it by.
        scopes: What it may do: read, infer, train, admin.
        project: Whose objects it sees and makes.
        organization: Under which its jobs and models are filed.
        created_at: Unix time in seconds.
        revoked_at: Unix time in seconds; None while it is valid.
    """

    id: str
    name: str
    ending: str
    scopes: frozenset[str]
    project: str
    organization: str
    created_at: int
    revoked_at: int | None

    def as_json(self) -> dict[str, Any]:
        """The key as `--json` prints it."""
        return {**self.__dict__, "scopes": [scope for scope in SCOPES if scope in self.scopes]}


def create_key(
    workspace: Workspace,
    *,
    name: str,
    scopes: Iterable[str],
    project: str = "default",
    organization: str = "tunewright",
) -> tuple[str, Key]:
    """A new key and its secret, which nothing can show again.

    Raises:
        InputError: If a scope is unknown, there is none, or a name is empty or too long.
    """
    given = frozenset(scopes)
    for scope in sorted(given - set(SCOPES)):
        raise UnknownNameError("scope", scope, SCOPES)
    if not given:
        raise InputError("A key without scopes may do nothing", where="scopes", hint=f"Known: {', '.join(SCOPES)}.")
    for field, text in (("name", name), ("project", project), ("organization", organization)):
        if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
            raise InputError(f"A key's {field} has 1 to {LONGEST_NAME} printable characters", where=field)
    secret = SECRET_START + secrets.token_urlsafe(_SECRET_BYTES)
    values = {
        "id": new_id("key"),
        "hash": _hash(secret),
        "ending": secret[-_ENDING:],
        "name": name,
        "scopes": sorted(given),
        "project": project,
        "organization": organization,
        "created_at": int(time.time()),
        "revoked_at": None,
    }
    with workspace.database.write() as connection:
        connection.execute(insert(tables.keys).values(**values))
        row = connection.execute(select(tables.keys).where(tables.keys.c.id == values["id"])).one()
    return secret, _key(row)


def find_key(workspace: Workspace, secret: str) -> Key | None:
    """The valid key with this secret; None if there is none, or it was revoked."""
    # The secret is 256 random bits, so a plain hash cannot be guessed back; the look-up by hash says nothing of it.
    given = _hash(secret)
    with workspace.database.read() as connection:
        row = connection.execute(select(tables.keys).where(tables.keys.c.hash == given)).first()
    if row is None or not hmac.compare_digest(row.hash, given) or row.revoked_at is not None:
        return None
    return _key(row)


def list_keys(workspace: Workspace, *, revoked: bool = False) -> list[Key]:
    """Valid keys, oldest first; those that were revoked too where they are wanted."""
    keys = tables.keys.c
    query = select(tables.keys).order_by(keys.created_at, keys.id)
    with workspace.database.read() as connection:
        rows = connection.execute(query if revoked else query.where(keys.revoked_at.is_(None))).all()
    return [_key(row) for row in rows]


def revoke_key(workspace: Workspace, id: str) -> Key:
    """Makes a key invalid for good; one that is invalid already stays as it is.

    Raises:
        NoSuchRecordError: If no key has this id.
    """
    keys = tables.keys
    with workspace.database.write() as connection:
        valid = update(keys).where(keys.c.id == id, keys.c.revoked_at.is_(None))
        connection.execute(valid.values(revoked_at=int(time.time())))
        row = connection.execute(select(keys).where(keys.c.id == id)).first()
    if row is None:
        raise NoSuchRecordError("key", id)
    return _key(row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        ending=row.ending,
        scopes=frozenset(row.scopes),
        project=row.project,
        organization=row.organization,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
