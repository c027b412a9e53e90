"""Variants become the preferred form; code and addresses stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError
from tunewright.data.frame import ROW_ID
from tunewright.data.steps.glossary import Config, apply

GLOSSARY = """
PostgreSQL: [Postgres, postgre sql]
e-mail: {variants: {email: 7, e mail: 1}, count: 20, confirmed: true}
US: [U.S.]
SQL Server: [Server]
charge-back: {variants: [chargeback], confirmed: false}
"""


@pytest.fixture
def glossary(tmp_path: Path) -> Path:
    path = tmp_path / "glossary.yaml"
    path.write_text(GLOSSARY)
    return path


def _written(path: Path, text: str) -> str:
    found: str = apply(frame_of(t=[text]), Config(columns=("t",), file=str(path))).frame["t"][0]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres, Postgres and POSTGRESQL", "PostgreSQL, PostgreSQL and PostgreSQL"),
        ("Email me. My EMAIL: an e  mail.", "E-mail me. My E-MAIL: an e-mail."),
        ("they asked us in the U.S.", "they asked us in the US"),
        ("a server, the Server and the SQL Server", "a server, the SQL Server and the SQL Server"),
        ("Postgresql2 and prepostgres", "Postgresql2 and prepostgres"),
        ("`postgres` https://postgres.example a@email.example", "`postgres` https://postgres.example a@email.example"),
        ("chargeback", "chargeback"),
    ],
)
def test_terms(glossary: Path, text: str, expected: str) -> None:
    assert _written(glossary, text) == expected


def test_the_log(glossary: Path) -> None:
    result = apply(frame_of(t=["my email", None, "none"]), Config(columns=("t",), file=str(glossary)))
    assert result.edits.select("row_id", "after", "reason").rows() == [("r1", "my e-mail", "glossary")]
    assert result.frame[ROW_ID].to_list() == ["r1", "r2", "r3"]


def test_terms_that_chase_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.yaml"
    path.write_text("a b: [x]\nx y: [b]\n")
    assert _written(path, "x") == "a b"
    path.write_text("k q q: [q]\nz: [z k]\n")
    with pytest.raises(DataError, match="without end"):
        _written(path, "z k q q")


def test_a_glossary_of_which_nothing_is_confirmed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mined.yaml"
    path.write_text("a b: {variants: [ab], confirmed: false}\n")
    with pytest.raises(DataError, match="No term of this glossary is confirmed"):
        _written(path, "ab")


def test_a_file_must_be_named() -> None:
    with pytest.raises(ValidationError, match="needs 'file'"):
        Config()
