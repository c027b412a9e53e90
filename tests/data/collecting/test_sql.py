"""Rows from databases: streamed, read only, and without giving passwords away."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.data.collecting import sql
from tunewright.data.collecting.sql import query_rows
from tunewright.data.rows import Row
from tunewright.recipe.places import shown_url


@pytest.fixture
def tickets(tmp_path: Path) -> str:
    path = tmp_path / "tickets.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE ticket (id INTEGER, text TEXT, label TEXT)")
        base.executemany(
            "INSERT INTO ticket VALUES (?, ?, ?)", [(1, "100% broken: a", "x"), (2, None, "y"), (3, "c", "x")]
        )
    base.close()
    return f"sqlite:///{path}"


def test_rows_come_in_order_and_are_numbered(tickets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_ROWS_AT_ONCE", 2)
    query = "SELECT id, text FROM ticket WHERE label LIKE 'x%' OR text IS NULL ORDER BY id"
    assert list(query_rows(tickets, query, "tickets.db")) == [
        Row({"id": 1, "text": "100% broken: a"}, "tickets.db", 1),
        Row({"id": 2, "text": None}, "tickets.db", 2),
        Row({"id": 3, "text": "c"}, "tickets.db", 3),
    ]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("DELETE FROM ticket", "only reads"),
        ("  -- SELECT\nUPDATE ticket SET text = ''", "only reads"),
        ("WITH x AS (SELECT 1) INSERT INTO ticket SELECT 1, 'a', 'b'", "readonly database"),
        ("SELECT nowhere FROM ticket", "refused: .*no such column: nowhere"),
        ("SELECT id, text AS id FROM ticket", "several columns 'id'"),
    ],
)
def test_what_does_not_read_is_refused(tickets: str, query: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        list(query_rows(tickets, query, "t"))
    assert len(list(query_rows(tickets, "/* all */ SELECT * FROM ticket WHERE text <> ''", "t"))) == 2


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(DataError, match="does not exist"):
            list(query_rows(f"{scheme}:///{tmp_path / 'none.db'}", "SELECT 1", "t"))
    assert not list(tmp_path.iterdir())


def test_duckdb_is_read_only_and_reads_nothing_else(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as base:
        base.execute(
            "CREATE TABLE n AS SELECT range AS i, DATE '2026-01-01' + CAST(range AS INTEGER) AS d FROM range(5000)"
        )
    url = f"duckdb:///{path}"
    rows = list(query_rows(url, "FROM n ORDER BY i", "a"))
    assert [row.line for row in rows if isinstance(row, Row)] == list(range(1, 5001))
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="refused"):
        list(query_rows(url, f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')", "a"))
    with pytest.raises(DataError, match="refused"):
        list(query_rows(url, "SELECT 1; CREATE TABLE m (i INTEGER)", "a"))


def test_passwords_come_from_the_environment_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+none://ana:${DB_PASSWORD}@db.example.org/tickets?sslmode=require"
    assert shown_url(url) == "postgresql+none://db.example.org/tickets"
    with pytest.raises(DataError, match="variable DB_PASSWORD is not set"):
        list(query_rows(url, "SELECT 1", "t"))
    monkeypatch.setenv("DB_PASSWORD", "p@ss/word")
    with pytest.raises(DataError) as caught:
        list(query_rows(url, "SELECT 1", "t"))
    assert "p@ss" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("cannot log in with p@ss/word, nor with p%40ss%2Fword")

    monkeypatch.setattr("sqlalchemy.create_engine", refuse)
    with pytest.raises(DataError, match=r"refused: cannot log in with \*\*\*, nor with \*\*\*"):
        list(query_rows(url, "SELECT 1", "t"))


def test_a_missing_driver_is_named() -> None:
    with pytest.raises(DataError, match=r"driver 'pymysql' is not installed.*pip install 'pymysql"):
        list(query_rows("mysql+pymysql://db.example.org/x", "SELECT 1", "t"))
