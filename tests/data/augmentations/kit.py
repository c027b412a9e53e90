"""A kit whose thesaurus was made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tunewright.data.augmentations._protocol import Kit
from tunewright.data.thesaurus import Thesaurus

PAIRS = (("card", "ticket"), ("lost", "missing"), ("pay", "settle"), ("quickly", "soon"), ("money", "cash"))


def made_kit(cache: Path | None = None, **changes: Any) -> Kit:
    """Knows five pairs of synonyms."""
    words = [word for pair in PAIRS for word in pair]
    vectors = np.repeat(np.eye(len(PAIRS), dtype=np.float32), 2, axis=0)
    kit = Kit(**{"seed": 1, "cache": cache, **changes})
    kit.__dict__["thesaurus"] = Thesaurus(words, vectors)
    return kit
