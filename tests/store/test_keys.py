from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import select

from tunewright.base.errors import InputError, NoSuchRecordError, UnknownNameError
from tunewright.store import Workspace, tables
from tunewright.store.keys import create_key, find_key, list_keys, revoke_key


def test_a_key_is_found_by_its_secret_alone(workspace: Workspace) -> None:
    secret, key = create_key(workspace, name="ci", scopes=["train", "read"], project="red", organization="acme")
    assert secret.startswith("tw-")
    assert len(secret) == 3 + 43  # 32 random bytes in base64
    assert key.scopes == {"read", "train"}
    assert (key.name, key.project, key.organization, key.revoked_at) == ("ci", "red", "acme", None)
    assert secret.endswith(key.ending)
    assert find_key(workspace, secret) == key
    for wrong in ("", "tw-", secret[:-1], secret + "x", secret.upper(), key.id, "\0", "\ud800"):
        assert find_key(workspace, wrong) is None
    assert json.loads(json.dumps(key.as_json()))["scopes"] == ["read", "train"]


def test_only_a_hash_of_the_secret_is_kept(workspace: Workspace) -> None:
    secret, key = create_key(workspace, name="ci", scopes=["read"])
    with workspace.database.read() as connection:
        row = connection.execute(select(tables.keys)).one()
    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)
    assert secret[3:20] not in repr(key) + json.dumps(key.as_json())


def test_a_revoked_key_opens_nothing(workspace: Workspace) -> None:
    secret, key = create_key(workspace, name="ci", scopes=["read"])
    other, _ = create_key(workspace, name="other", scopes=["read"])
    revoked = revoke_key(workspace, key.id)
    assert revoked.revoked_at is not None
    assert find_key(workspace, secret) is None
    assert find_key(workspace, other) is not None
    assert [each.name for each in list_keys(workspace)] == ["other"]
    assert {each.name for each in list_keys(workspace, revoked=True)} == {"ci", "other"}
    assert revoke_key(workspace, key.id) == revoked
    with pytest.raises(NoSuchRecordError, match="No key has the id 'key-x'"):
        revoke_key(workspace, "key-x")


def test_wrong_keys_are_refused(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        create_key(workspace, name="ci", scopes=["trian"])
    with pytest.raises(InputError, match="without scopes"):
        create_key(workspace, name="ci", scopes=[])
    for name in ("", "x" * 129, "a\nb"):
        with pytest.raises(InputError, match="key's name has 1 to 128"):
            create_key(workspace, name=name, scopes=["read"])
    assert list_keys(workspace, revoked=True) == []
