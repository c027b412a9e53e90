"""The vault keeps originals sealed, opens for its key alone, and lets no two originals share a pseudonym."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tunewright.base.errors import DataError, WorkspaceError
from tunewright.data.personal.keys import Key, WrongKeyError
from tunewright.data.personal.vault import Original, open_vault

KEY, OTHER = Key(bytes(range(32))), Key(bytes(range(1, 33)))
ANNA = {"Person-aaaaaaaaaaaa": Original("anna kowalska", "Anna Kowalska")}


def test_what_is_put_in_is_found_again_and_is_nowhere_readable(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "redact.vault"
    with open_vault(path, KEY, create=True) as vault:
        assert vault.add(ANNA) == 1
        assert vault.add({"Person-aaaaaaaaaaaa": Original("anna kowalska", "ANNA KOWALSKA")}) == 0
    with open_vault(path, KEY, create=False) as vault:
        assert vault.find("Person-aaaaaaaaaaaa") == Original("anna kowalska", "Anna Kowalska")
        assert vault.find("Person-bbbbbbbbbbbb") is None
    assert b"owalska" not in path.read_bytes()


def test_two_originals_of_one_pseudonym_are_refused_and_nothing_is_added(tmp_path: Path) -> None:
    path = tmp_path / "redact.vault"
    with open_vault(path, KEY, create=True) as vault:
        vault.add(ANNA)
        both = {"Person-cccccccccccc": Original("c", "C"), "Person-aaaaaaaaaaaa": Original("anna b", "Anna B")}
        with pytest.raises(DataError, match="Two originals"):
            vault.add(both)
        assert vault.find("Person-cccccccccccc") is None


def test_another_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "redact.vault"
    with open_vault(path, KEY, create=True) as vault:
        vault.add(ANNA)
    with pytest.raises(WrongKeyError, match="another key"), open_vault(path, OTHER, create=True):
        pass


def test_entries_that_changed_places_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "redact.vault"
    with open_vault(path, KEY, create=True) as vault:
        vault.add(ANNA)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entries SET pseudonym = 'Person-bbbbbbbbbbbb'")
    with open_vault(path, KEY, create=False) as vault, pytest.raises(WrongKeyError):
        vault.find("Person-bbbbbbbbbbbb")


def test_what_is_no_vault_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no vault here"), open_vault(tmp_path / "absent", KEY, create=False):
        pass
    (tmp_path / "text").write_text("no vault\n" * 100, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="cannot be used"), open_vault(tmp_path / "text", KEY, create=False):
        pass
    with pytest.raises(WorkspaceError, match="cannot be used"), open_vault(tmp_path, KEY, create=True):
        pass
