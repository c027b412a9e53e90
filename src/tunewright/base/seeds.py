"""Random numbers that a run can repeat."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A seed for one purpose, below 2**63: the same seed and names always give the same number.

    Purposes get seeds of their own so that drawing more numbers for one never shifts another.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
