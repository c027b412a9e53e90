"""A text as sentences."""

from __future__ import annotations

import re

# Marks and quotes that end a sentence. What follows begins with no small letter ("approx. three").
_END = re.compile(r"([.!?…][\"'”’)\]]*)\s+(?=[^\sa-zß-ÿ])|([。！？])")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without white space around them; a rule of marks, capitals and lines."""
    parts = _END.sub(lambda end: f"{end[0].rstrip()}\n", text).splitlines()
    return [part.strip() for part in parts if part.strip()]
