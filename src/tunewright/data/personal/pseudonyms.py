"""Stand-ins for persons, accounts and the like: the same for the same one, in every row, source and run.

A stand-in says its kind and twelve characters of an HMAC over the kind and the folded original: `Person-k3vq7ya2m5xd`.
Those are 60 bits: among a million persons two share one with a chance of 4 in ten million, and the vault refuses that.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from tunewright.data.folding import fold
from tunewright.data.personal.keys import Key
from tunewright.data.personal.spans import Span

_CHARACTERS = 12
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "url": "Link",
        "secret": "Secret",
        "email": "Mail",
        "iban": "Account",
        "card": "Card",
        "national_id": "Identity",
        "phone": "Phone",
        "mac": "Device",
        "ip": "Host",
        "birth_date": "Birthday",
        "address": "Address",
        "name": "Person",
    }
)
PSEUDONYM = re.compile(rf"(?<![\w-])(?:{'|'.join(WORDS.values())})-[a-z2-7]{{{_CHARACTERS}}}(?![\w-])")
_BY_CHARACTERS_ALONE = frozenset(("iban", "card", "national_id", "mac"))


def identity(kind: str, text: str, region: str | None) -> str:
    """What two spellings of one person, account or number share."""
    if kind in _BY_CHARACTERS_ALONE:
        return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
    if kind == "phone":
        return _phone(text, region)
    return text if kind in ("secret", "url") else fold(text)


def _phone(text: str, region: str | None) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return "".join(filter(str.isdigit, text))
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def pseudonym(kind: str, identity: str, key: Key) -> str:
    """The stand-in for who or what an identity is."""
    code = base64.b32encode(key.sign(kind, identity))[:_CHARACTERS].decode().lower()
    return f"{WORDS[kind]}-{code}"


def without_pseudonyms(text: str, spans: list[Span]) -> list[Span]:
    """The places among some that no pseudonym stands in or reaches into."""
    if not spans or "-" not in text:
        return spans
    taken = [match.span() for match in PSEUDONYM.finditer(text)]
    return [span for span in spans if not any(span[0] < end and start < span[1] for start, end in taken)]
