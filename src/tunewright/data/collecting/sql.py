"""Rows that a database answers with, read only, some at a time.

DuckDB's files are opened by DuckDB, all else by SQLAlchemy and the database's own driver.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus, urlsplit

from tunewright.base.errors import DataError, MissingExtraError
from tunewright.data.rows import Fault, Row
from tunewright.recipe.places import scheme_of, shown_url

_ROWS_AT_ONCE = 2000
_READS = re.compile(r"(?:\s|--[^\n]*\n|(?>/\*.*?\*/)|\()*+(select|with|values|from|table)\b", re.IGNORECASE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# How a session is told that nothing is to be written; SQLite and DuckDB are opened so.
_READ_ONLY = {
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
_DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql", "mssql": "pyodbc"}


def query_rows(url: str, query: str, name: str) -> Iterator[Row | Fault]:
    """The rows of a query's answer, numbered from one.

    Args:
        url: The database. `${NAME}` stands for an environment variable, as which passwords are given.
        query: What to ask; one statement that reads.
        name: What the rows are said to come from.

    Raises:
        DataError: If a variable is not set, the database cannot be reached, or it refuses the query.
        MissingExtraError: If DuckDB is not installed.
    """
    shown = shown_url(url)
    if not _READS.match(query):
        raise DataError("A source's query only reads: it begins with SELECT or WITH", where=shown)
    filled, secrets = fill_in(url)
    opened = _ask_duckdb if scheme_of(url) == "duckdb" else _ask_sqlalchemy
    line = 0
    with _told(shown, secrets), opened(filled, query) as (columns, batches):
        _check_names(columns)
        for batch in batches:
            for values in batch:
                line += 1
                yield Row(dict(zip(columns, values, strict=True)), name, line)


def fill_in(url: str) -> tuple[str, list[str]]:
    """The address with environment variables in place, and their values, which must not be shown."""
    secrets: list[str] = []

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise DataError(f"The environment variable {found[1]} is not set", where=shown_url(url))
        secrets.append(os.environ[found[1]])
        return quote_plus(os.environ[found[1]])

    return _VARIABLE.sub(value, url), secrets


def _check_names(columns: Sequence[str]) -> None:
    repeated = sorted({name for name in columns if list(columns).count(name) > 1})
    if repeated:
        raise DataError(f"The answer has several columns '{repeated[0]}'", hint="Give each a name of its own with AS.")


@contextlib.contextmanager
def _told(shown: str, secrets: Sequence[str]) -> Iterator[None]:
    """Turns what drivers raise into a `DataError` that gives no secret away."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what, where=error.where or shown, hint=error.hint) from error
    except (MissingExtraError, GeneratorExit, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        package = _DRIVERS.get(scheme_of(shown), error.name)
        hint = f"Install it with: pip install '{package}'."
        raise DataError(f"The driver '{error.name}' is not installed", where=shown, hint=hint) from error
    except Exception as error:  # each driver has an error tree of its own
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        for secret in filter(None, secrets):
            text = text.replace(secret, "***").replace(quote_plus(secret), "***")
        # Not "from": the error that lies behind may hold the whole address.
        raise DataError(f"The database refused: {text.rstrip('.')}", where=shown) from None


@contextlib.contextmanager
def _ask_duckdb(url: str, query: str) -> Iterator[tuple[list[str], Iterator[Sequence[Any]]]]:
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("duckdb", extra="sql", needed_for="Reading a DuckDB file") from None
    path = _file_of(url)
    # What stands in other files is read by their own readers, and shown as a source of its own.
    with contextlib.closing(duckdb.connect(path, read_only=True, config={"enable_external_access": "false"})) as base:
        answer = base.execute(query)
        names = [column[0] for column in answer.description or ()]
        yield names, iter(lambda: answer.fetchmany(_ROWS_AT_ONCE), [])


@contextlib.contextmanager
def _ask_sqlalchemy(url: str, query: str) -> Iterator[tuple[list[str], Iterator[Sequence[Any]]]]:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if scheme_of(url) == "sqlite":
        options["creator"] = _sqlite_opener(_file_of(url))
    try:
        engine = sqlalchemy.create_engine(url, **options)
    except NoSuchModuleError as error:
        raise DataError(f"SQLAlchemy has no dialect for this database ({error})") from error
    dialect = engine.dialect.name
    streaming: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS_AT_ONCE, "no_parameters": True}
    if dialect == "postgresql":
        streaming["postgresql_readonly"] = True
    with engine.connect() as connection:
        if dialect in _READ_ONLY:
            connection.exec_driver_sql(_READ_ONLY[dialect])
            if dialect != "oracle":  # there, it holds for this transaction
                connection.rollback()
        answer = connection.execution_options(**streaming).exec_driver_sql(query)
        yield list(answer.keys()), iter(answer.partitions(_ROWS_AT_ONCE))


def _file_of(url: str) -> str:
    """The path of a database in a file.

    Raises:
        DataError: If it is not there; opening it would make an empty one.
    """
    path = urlsplit(url).path.removeprefix("/")
    if not os.path.isfile(path):  # noqa: PTH113
        raise DataError("This database does not exist" if path else "The address names no file")
    return path


def _sqlite_opener(path: str) -> Any:
    import sqlite3
    from pathlib import Path

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
        # A text that is no UTF-8 spoils its own row, and not the answer.
        connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        return connection

    return connect
