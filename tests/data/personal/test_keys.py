"""Keys are read where they lie, never shown; what is sealed opens with the right one, unchanged, alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.base.errors import InputError
from tunewright.data.personal.keys import Key, WrongKeyError, is_sealed, open_sealed, read_key, sealed_text

SECRET = bytes(range(32))
KEY = Key(SECRET)


def test_hexadecimal_and_base64_from_a_file_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "redact.key"
    for text in (SECRET.hex(), base64.b64encode(SECRET).decode(), base64.urlsafe_b64encode(SECRET).decode()):
        file.write_text(f"{text}\n", encoding="utf-8")
        assert read_key(file, "NONE", where="here").secret == SECRET
        monkeypatch.setenv("A_KEY", text)
        assert read_key(None, "A_KEY", where="here").secret == SECRET


@pytest.mark.parametrize(
    "text", ["", "hunter2hunter2", "00" * 32, "12" * 31, "zz" * 32, base64.b64encode(b"short").decode()]
)
def test_what_is_no_key_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "redact.key"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="This is no key") as caught:
        read_key(file, "NONE", where="here")
    assert caught.value.exit_code == 2
    assert not text or text not in str(caught.value)


def test_no_key_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(InputError, match=r"A_KEY holds none.*token_hex"):
        read_key(None, "A_KEY", where="here")
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path / "absent", "A_KEY", where="here")


def test_a_key_does_not_show_itself() -> None:
    assert SECRET.hex() not in repr(KEY)
    assert repr(SECRET) not in repr(KEY)


def test_the_signing_key_is_that_of_rfc_5869() -> None:
    """HKDF and HMAC by hand: extract, one block of expand, and parts with their lengths in front."""
    extracted = hmac.new(b"tunewright", SECRET, hashlib.sha256).digest()
    signing = hmac.new(extracted, b"pseudonyms\x01", hashlib.sha256).digest()
    message = b"\0\0\0\0\0\0\0\4name" + b"\0\0\0\0\0\0\0\3a b"
    assert KEY.sign("name", "a b") == hmac.new(signing, message, hashlib.sha256).digest()
    assert KEY.sign("name", "a b") != KEY.sign("namea", " b")


@given(st.text(max_size=60))
def test_what_is_sealed_opens(text: str) -> None:
    sealed = sealed_text(text, KEY)
    assert open_sealed(f"before {sealed} after", KEY) == (f"before {text} after", 1)
    assert sealed == sealed_text(text, KEY)  # equal runs write equal bytes
    assert is_sealed(sealed)
    assert not is_sealed(f"x{sealed}")


def test_another_key_another_use_and_a_changed_byte_are_noticed() -> None:
    sealed = KEY.seal("text", use="one")
    assert b"text" not in sealed
    with pytest.raises(WrongKeyError):
        Key(SECRET[::-1]).open(sealed, use="one")
    with pytest.raises(WrongKeyError):
        KEY.open(sealed, use="two")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(WrongKeyError):
            KEY.open(bytes(changed), use="one")
