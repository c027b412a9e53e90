"""Records: the server's objects (files, jobs, batches, evals), each a JSON body under a kind and an id.

They are numbered as they come, and listed by that number: a clock that goes back changes no order.
"""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, insert, literal, not_, select, update
from sqlalchemy.sql.selectable import FromClause

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.store import tables
from tunewright.store.database import Database
from tunewright.store.values import plain

Order = Literal["asc", "desc"]
Body = dict[str, Any]
Change = Callable[[Body], Body]

LONGEST_ID = 256
_ID_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 24
# PostgreSQL keeps no NUL in a text, and half a surrogate pair has no UTF-8: such a text could be stored and never sent.
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Record:
    """One object of the server's.

    Args:
        kind: What it is: file, job, batch.
        id: Unique among its kind.
        parent: The id of what it belongs to; empty for none.
        project: Whose it is.
        created_at: Unix time in seconds.
        body: Its fields; plain JSON.
        seq: Grows with each record that is added, with gaps.
    """

    kind: str
    id: str
    parent: str
    project: str
    created_at: int
    body: Body
    seq: int


@dataclass(frozen=True)
class Page:
    """Some records in order, and whether more follow."""

    records: list[Record]
    has_more: bool


def new_id(prefix: str) -> str:
    """An id that nobody can guess: `file-…` of "file", `batch_…` of "batch_"."""
    start = prefix if prefix.endswith(("-", "_")) else f"{prefix}-"
    return start + "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def add(
    database: Database,
    kind: str,
    body: Mapping[str, Any],
    *,
    id: str,
    parent: str = "",
    project: str = "default",
    created_at: int | None = None,
) -> Record:
    """Adds a record; see `Workspace.add_record`."""
    values = {
        "kind": kind,
        "id": id,
        "parent": parent,
        "project": project,
        "created_at": int(time.time()) if created_at is None else created_at,
        "body": _sendable(body, kind),
    }
    for name in ("kind", "id", "parent", "project"):
        _check_word(name, values[name])
    records = tables.records
    with database.write() as connection:
        before = connection.execute(select(records).where(_is(kind, id))).first()
        if before is not None and before.body is not None:
            raise InputError(f"A {kind} with the id '{id}' exists already", where="id")
        if before is not None:
            connection.execute(delete(records).where(records.c.seq == before.seq))
        connection.execute(insert(records).values(**values))
        return _record(connection.execute(select(records).where(_is(kind, id))).one())


def find(database: Database, kind: str, id: str, project: str | None) -> Record:
    """One record; see `Workspace.record`."""
    with database.read() as connection:
        row = (
            None if _UNSENDABLE.search(id) else connection.execute(select(tables.records).where(_is(kind, id))).first()
        )
    if row is None or row.body is None or project not in (None, row.project):
        raise NoSuchRecordError(kind, id)
    return _record(row)


def listed(
    database: Database,
    kind: str,
    *,
    parent: str | None,
    project: str | None,
    after: str | None,
    limit: int,
    order: Order,
    where: Mapping[str, str | None] | None,
) -> Page:
    """A page of records; see `Workspace.records`."""
    if limit < 0:
        raise InputError(f"A page cannot hold {limit} records", where="limit")
    records = tables.records.c
    found = [records.kind == kind, records.body.is_not(None)]
    found += [
        column == given for column, given in ((records.parent, parent), (records.project, project)) if given is not None
    ]
    query = select(tables.records).order_by(records.seq if order == "asc" else records.seq.desc()).limit(limit + 1)
    with database.read() as connection:
        fields = _sqlite_field if connection.dialect.name == "sqlite" else _postgres_field
        found += [_matches(fields, name, value) for name, value in (where or {}).items()]
        if after is not None:
            row = (
                None
                if _UNSENDABLE.search(after)
                else connection.execute(select(records.seq, records.project).where(_is(kind, after))).first()
            )
            # Whose a record is must not be found out by asking for what follows it.
            if row is None or project not in (None, row.project):
                raise InputError(f"No {kind} has the id '{after}'", where="after", hint="Begin again without it.")
            found.append(records.seq > row.seq if order == "asc" else records.seq < row.seq)
        rows = connection.execute(query.where(*found)).all()
    return Page([_record(row) for row in rows[:limit]], len(rows) > limit)


def change(database: Database, kind: str, id: str, how: Change) -> Record:
    """Changes a record's body; see `Workspace.change_record`."""
    records = tables.records
    with database.write() as connection:
        row = connection.execute(select(records).where(_is(kind, id))).first()
        if row is None or row.body is None:
            raise NoSuchRecordError(kind, id)
        body = _sendable(how(dict(row.body)), kind)
        connection.execute(update(records).where(records.c.seq == row.seq).values(body=body))
    before = _record(row)
    return Record(before.kind, before.id, before.parent, before.project, before.created_at, body, before.seq)


def remove(database: Database, kind: str, id: str) -> None:
    """Removes a record; see `Workspace.remove_record`."""
    records = tables.records
    with database.write() as connection:
        gone = update(records).where(_is(kind, id), records.c.body.is_not(None)).values(body=None)
        if connection.execute(gone).rowcount == 0:
            raise NoSuchRecordError(kind, id)


def _is(kind: str, id: str) -> ColumnElement[bool]:
    return and_(tables.records.c.kind == kind, tables.records.c.id == id)


def _record(row: Row[Any]) -> Record:
    return Record(row.kind, row.id, row.parent, row.project, row.created_at, row.body, row.seq)


def _check_word(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > LONGEST_ID or _UNSENDABLE.search(value):
        raise InputError(f"This is no {name} of a record: {value!r:.80}", where=name)
    if name in ("kind", "id") and not value:
        raise InputError(f"A record needs its {name}", where=name)


def _sendable(body: Mapping[str, Any], kind: str) -> Body:
    """A body as plain JSON whose texts any database keeps and any client can be sent."""
    found: Body = plain(body, kind)
    for place, text in _texts(found, ""):
        if _UNSENDABLE.search(text):
            raise InputError(
                "A text holds a NUL character or half a surrogate pair",
                where=place,
                hint="Remove it, and send it again.",
            )
    return found


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield place or key, key
            yield from _texts(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]")


# A field's name and type, as a database sees them: (type, text) of the field that a list of keys leads to.
_Fields = Callable[[list[str], Callable[[Any, Any], ColumnElement[bool]]], ColumnElement[bool]]


def _matches(fields: _Fields, name: str, value: str | None) -> ColumnElement[bool]:
    """Whether a field of the body, or of an object in it, is a text; or, for None, whether it is null or absent."""
    # Only the first dot parts: what follows may be a key that a client chose, with dots of its own.
    keys = name.split(".", 1)
    unsendable = any(_UNSENDABLE.search(text) for text in (*keys, value or ""))
    if unsendable:
        return literal(value is None) == literal(True)
    if value is None:
        return not_(fields(keys, lambda kind, text: kind != "null"))
    return fields(keys, lambda kind, text: and_(kind.in_(("text", "string")), text == value))


def _sqlite_field(keys: list[str], holds: Callable[[Any, Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    # SQLite's paths cannot quote every key, so keys are compared as values.
    each: list[FromClause] = []
    inside: Any = tables.records.c.body
    conditions: list[ColumnElement[bool]] = []
    for number, key in enumerate(keys):
        table = func.json_each(inside).table_valued(
            "key", "value", "type", name=f"level{number}", joins_implicitly=True
        )
        conditions.append(table.c.key == key)
        if number < len(keys) - 1:
            conditions.append(table.c.type == "object")
        each.append(table)
        inside = table.c.value
    last: Any = each[-1].c
    query = select(literal(1)).select_from(*each).where(*conditions, holds(last.type, last.value))
    return exists(query.correlate(tables.records))


def _postgres_field(keys: list[str], holds: Callable[[Any, Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    field: Any = tables.records.c.body
    for key in keys:
        field = field[key]
    # Absent is null in SQL, and null is neither true nor false: `not` of it must be true.
    return func.coalesce(holds(func.json_typeof(field), field.as_string()), literal(False))
