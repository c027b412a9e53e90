"""`keys`: made, listed and revoked; the secret is shown once, and stands nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import tunewright
from tunewright.store import Workspace
from tunewright.store.keys import find_key


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


def test_a_key_s_secret_is_shown_once(home: Path) -> None:
    made = tunewright("keys", "create", "ci", "--project", "desk", "--workspace", home)
    assert made.code == 0
    (secret,) = [word for word in made.out.split() if word.startswith("tw-")]
    workspace = Workspace.open(home)
    key = find_key(workspace, secret)
    assert key is not None
    assert (key.name, key.project, key.scopes) == ("ci", "desk", {"read", "infer", "train"})
    listed = tunewright("keys", "list", "--workspace", home)
    assert key.id in listed.out
    assert secret not in listed.out
    assert max(len(line) for line in listed.out.splitlines()) <= 80
    workspace.close()
    assert not [file for file in home.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]


def test_for_machines_it_is_one_document(home: Path) -> None:
    made = tunewright("keys", "create", "ci", "--scope", "admin", "--json", "--workspace", home).document
    assert made["scopes"] == ["admin"]
    (listed,) = tunewright("keys", "list", "--json", "--workspace", home).document
    assert listed == {name: value for name, value in made.items() if name != "secret"}


def test_a_revoked_key_opens_nothing(home: Path) -> None:
    made = tunewright("keys", "create", "ci", "--json", "--workspace", home).document
    assert tunewright("keys", "revoke", made["id"], "--workspace", home).code == 0
    assert find_key(Workspace.open(home), made["secret"]) is None
    assert "No key yet" in tunewright("keys", "list", "--workspace", home).out
    assert made["id"] in tunewright("keys", "list", "--revoked", "--workspace", home).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "ci", "--scope", "infre"], "Did you mean 'infer'?"),
        (["create", ""], "1 to 128 printable"),
        (["revoke", "key-none"], "key-none"),
    ],
)
def test_wrong_input_is_said(home: Path, arguments: list[str], said: str) -> None:
    Workspace.open(home)
    outcome = tunewright("keys", *arguments, "--workspace", home)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
