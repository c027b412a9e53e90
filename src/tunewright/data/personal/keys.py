"""The key that pseudonyms are made with, and that alone opens what is sealed.

The user holds it: in a file or an environment variable, never in the recipe, in an artifact or in a log. From its 32
bytes others are derived, one for each use (HKDF with SHA-256, RFC 5869). What is sealed is encrypted and authenticated
by AES-SIV (RFC 5297): it needs no random numbers, so equal runs write equal bytes, and a changed byte is noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_KEY_BYTES = 32
_MAKE_ONE = 'Make one with: python -c "import secrets; print(secrets.token_hex(32))" > redact.key'
_STANDARD = str.maketrans("-_", "+/")
_SEALED = re.compile(r"\[sealed:([A-Za-z0-9_-]+={0,2})\]")


class WrongKeyError(InputError):
    """A key does not open what it was asked to open, or somebody changed that."""


@dataclass(frozen=True)
class Key:
    """A key; its bytes are in no `repr`."""

    secret: bytes = field(repr=False)

    def derive(self, use: str, length: int) -> bytes:
        """Bytes for one use, from which neither the key nor those of another use can be told."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), length, salt=b"tunewright", info=use.encode()).derive(self.secret)

    def sign(self, *parts: str) -> bytes:
        """HMAC-SHA256 over texts: the same for the same texts, and to be guessed by nobody without the key."""
        message = b"".join(len(part.encode()).to_bytes(8) + part.encode() for part in parts)
        return hmac.new(self._signing, message, hashlib.sha256).digest()

    def seal(self, text: str, *, use: str) -> bytes:
        """A text that only this key opens, for the same use."""
        return self._cipher.encrypt(text.encode(errors="surrogatepass"), [use.encode()])

    def open(self, sealed: bytes, *, use: str) -> str:
        """What was sealed for a use.

        Raises:
            WrongKeyError: If it was sealed with another key or for another use, or changed since.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed, [use.encode()]).decode(errors="surrogatepass")
        except InvalidTag:
            raise WrongKeyError(
                "The key does not open this, or it was changed since it was sealed",
                hint="Use the key that the data were redacted with.",
            ) from None

    @cached_property
    def _signing(self) -> bytes:
        return self.derive("pseudonyms", 32)

    @cached_property
    def _cipher(self) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(self.derive("sealing", 64))


def read_key(file: str | Path | None, variable: str, *, where: str) -> Key:
    """The key in a file, or else in an environment variable: 32 bytes as 64 hexadecimal digits or as Base64.

    Raises:
        InputError: If there is none, or it is no key. What was found is not quoted.
    """
    if file is not None:
        place = str(file)
        try:
            text = Path(file).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"The key file cannot be read: {error.strerror}", where=place, hint=_MAKE_ONE) from None
    else:
        place = f"${variable}"
        text = os.environ.get(variable, "")
        if not text.strip():
            raise InputError(
                f"A key is needed, and the environment variable {variable} holds none",
                where=where,
                hint=f"Set it, or name a key file (key_file). {_MAKE_ONE}",
            )
    secret = _decoded(text.strip())
    if secret is None:
        raise InputError(
            f"This is no key: {_KEY_BYTES} random bytes are wanted, as 64 hexadecimal digits or as Base64",
            where=place,
            hint=_MAKE_ONE,
        )
    return Key(secret)


def _decoded(text: str) -> bytes | None:
    try:
        secret = (
            bytes.fromhex(text)
            if len(text) == 2 * _KEY_BYTES
            else base64.b64decode(text.translate(_STANDARD), validate=True)
        )
    except (ValueError, binascii.Error):
        return None
    # One byte repeated, or a few, was made by no random source.
    return secret if len(secret) == _KEY_BYTES and len(set(secret)) > _KEY_BYTES // 4 else None


def is_sealed(text: str | None) -> bool:
    """Whether a text as a whole is something sealed."""
    return text is not None and _SEALED.fullmatch(text) is not None


def sealed_text(text: str, key: Key) -> str:
    """A text, sealed, as a text: what the ledger holds in place of what was there before."""
    return f"[sealed:{base64.urlsafe_b64encode(key.seal(text, use='ledger')).decode()}]"


def open_sealed(text: str, key: Key) -> tuple[str, int]:
    """A text with its sealed parts opened, and how many there were.

    Raises:
        WrongKeyError: If one was sealed with another key.
    """
    return _SEALED.subn(lambda match: key.open(base64.urlsafe_b64decode(match[1]), use="ledger"), text)
