"""Lists of words."""

from __future__ import annotations


def fold_list(text: str) -> frozenset[str]:
    """The words of a text, folded as the lexicon folds them."""
    return frozenset(text.casefold().split())
