"""When two texts count as the same: after NFKC, case folding, and folding of white space."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable


def fold(text: str) -> str:
    """The text in NFKC, case-folded, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_key(texts: Iterable[str | None]) -> str:
    """A short key that several texts share if and only if each folds to the same; 128 bits, in hex."""
    # A unit separator folds to white space, so no folded text can hold one.
    joined = "\x1f".join("" if text is None else fold(text) for text in texts)
    return hashlib.blake2b(joined.encode("utf-8", errors="surrogatepass"), digest_size=16).hexdigest()
