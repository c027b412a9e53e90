"""Corrections that are hardly ever wrong: a word no dictionary has, and one common word that is clearly meant.

Candidates come from symspellpy (Garbe's symmetric deletes: all dictionary words within an edit distance, swaps of
neighbours counting one).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.errors import DataError
from tunewright.data.background import dictionary_path, read_counts, word_counts

if TYPE_CHECKING:
    from symspellpy import SymSpell

# A candidate is common if it is at least one in a million words.
_COMMON = 1e-6
_ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "or", "ly", "ness", "less", "able", "ish", "y", "al", "isation")
_BEGINNINGS = ("un", "re", "non", "pre", "sub", "mis", "anti", "auto", "over", "under", "multi", "inter", "micro", "co")
# Endings that change the word: separably, happily, parties, making, creation.
_CHANGED_ENDINGS = (
    ("bly", "ble"), ("ily", "y"), ("ies", "y"), ("ied", "y"), ("iness", "y"), ("ing", "e"), ("able", "e"),
    ("ation", "ate"), ("ation", "e"), ("ion", "e"),
)  # fmt: skip
# British and American spellings of one word: neither is wrong.
_SPELLINGS = (
    (re.compile(r"ll(?=ed|ing|er|or|ment|ful|\b)"), "l"), (re.compile(r"our"), "or"), (re.compile(r"ogue\b"), "og"),
    (re.compile(r"(?<=[iy])s(?=e|ing|ation)"), "z"), (re.compile(r"re\b"), "er"), (re.compile(r"ae|oe"), "e"),
    (re.compile(r"ence\b"), "ense"), (re.compile(r"gement"), "gment"), (re.compile(r"ium\b"), "um"),
    (re.compile(r"artef"), "artif"), (re.compile(r"lery\b"), "lry"), (re.compile(r"sc(?=ept)"), "sk"),
)  # fmt: skip
_CONTRACTED = 100
_MOST_SEEN = 1 << 18  # words remembered: some 30 MB
_SHORT_WORD = 6
_NOT_DOUBLED = "aeioul"
_DOUBLING = ("ed", "ing", "er")
_LEAST_PART = 2
_SHORT_PART = 1000


@dataclass(frozen=True, eq=False)
class Speller:
    """A dictionary that corrects.

    Args:
        path: A line for each word: the word and its count, of a large sample of the language.
        ratio: How many times as common the best candidate must be as the next.
        long_word: From so many letters on, candidates at distance 2 count too.
    """

    path: Path
    ratio: float
    long_word: int
    _seen: dict[str, str | None] = field(default_factory=dict, repr=False)
    _indexes: dict[int, SymSpell] = field(default_factory=dict, repr=False)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Word to count."""
        if self.path == dictionary_path():
            return word_counts()
        try:
            return read_counts(self.path)
        except (OSError, ValueError) as error:
            hint = "Its lines are a word and a count."
            raise DataError(f"This dictionary cannot be read ({error})", where=str(self.path), hint=hint) from error

    def _index(self, distance: int) -> SymSpell:
        """The dictionary, ready to find words within a distance; made at its first use, for it takes a while."""
        from symspellpy import SymSpell

        if distance not in self._indexes:
            index = SymSpell(max_dictionary_edit_distance=distance, prefix_length=7)
            least = 0 if distance == 1 else self.long_word - distance
            for word, count in self.counts.items():
                plain = word.replace("'", "")
                if len(word) >= least and (plain == word or plain not in self.counts):
                    # Dictionaries made from books hardly know contractions; messages are full of them.
                    index.create_dictionary_entry(plain, count if plain == word else int(_CONTRACTED * self._least))
            self._indexes[distance] = index
        return self._indexes[distance]

    @cached_property
    def _contractions(self) -> dict[str, str]:
        return {word.replace("'", ""): word for word in self.counts if "'" in word}

    @cached_property
    def _least(self) -> float:
        return _COMMON * sum(self.counts.values())

    def knows(self, word: str) -> bool:
        """Whether a word, in lower case, is spelt as the dictionary or the rules of building words have it."""
        plain = word.replace("’", "'")
        return plain in self.counts or plain.removesuffix("'s").removesuffix("'") in self.counts

    def correction(self, word: str) -> str | None:
        """What a word that the dictionary has not was clearly meant to be; None if that is not clear.

        Args:
            word: In lower case.
        """
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        if word not in self._seen:
            self._seen[word] = self._correct(word)
        return self._seen[word]

    def _correct(self, word: str) -> str | None:
        if word in self._contractions:
            return self._contractions[word]
        if doubled := self._doubled(word):
            return doubled
        if self._is_built(word):
            return None
        found = self._candidates(word, 1)
        if not found and len(word) >= self.long_word:
            found = self._candidates(word, 2)
        if not found:
            return None
        best, count = found[0]
        rival = found[1][1] if len(found) > 1 else 0
        if count < self._least or count < self.ratio * rival or not _is_likely(word, best):
            return None
        return self._contractions.get(best, best)

    def _doubled(self, word: str) -> str | None:
        """The word with its last consonant doubled before an ending (`occured`), if that is a common one."""
        for end in _DOUBLING:
            stem = word.removesuffix(end)
            if stem != word and stem and stem[-1] not in _NOT_DOUBLED:
                longer = stem + stem[-1] + end
                if self.counts.get(longer, 0) >= self._least:
                    return longer
        return None

    def _candidates(self, word: str, distance: int) -> list[tuple[str, int]]:
        """Dictionary words within a distance, the most common first."""
        from symspellpy import Verbosity

        found = self._index(distance).lookup(word, Verbosity.ALL, max_edit_distance=distance)
        return sorted(((each.term, each.count) for each in found), key=lambda pair: (-pair[1], pair[0]))

    def _is_built(self, word: str) -> bool:
        """Whether a word is one that the dictionary has, with a beginning or an ending, or two such in one."""
        counts = self.counts
        if any(word.endswith(end) and word[: -len(end)] in counts for end in _ENDINGS if len(word) > len(end) + 2):
            return True
        if any(word.endswith(new) and word.removesuffix(new) + old in counts for new, old in _CHANGED_ENDINGS):
            return True
        if any(word.startswith(start) and word[len(start) :] in counts for start in _BEGINNINGS):
            return True
        parts = ((word[:at], word[at:]) for at in range(_LEAST_PART, len(word) - _LEAST_PART + 1))
        return any(self._is_part(one) and self._is_part(other) for one, other in parts)

    def _is_part(self, word: str) -> bool:
        # Of two letters only the most common (`topup`): as good as any pair of letters is an abbreviation.
        return self.counts.get(word, 0) >= self._least * (1 if len(word) > 2 else _SHORT_PART)


def _is_likely(word: str, best: str) -> bool:
    """Whether a word is more likely a slip of a pen than another word, which the dictionary lacks."""
    if len(word) < _SHORT_WORD:
        # Short words have many neighbours; that two letters changed places is no accident.
        return sorted(word) == sorted(best)
    # Few errors are in the first letter (Pollock and Zamora, "Automatic spelling correction in scientific and scholarly
    # text", 1984). Another letter at the end, or one more or less, may be an ending that the dictionary lacks.
    if word[0] != best[0] or best.startswith(word) or word.startswith(best) or word[:-1] == best[:-1]:
        return False
    return _one_spelling(word) != _one_spelling(best)


def _one_spelling(word: str) -> str:
    for pattern, one in _SPELLINGS:
        word = pattern.sub(one, word)
    return word


def speller(path: str, ratio: float, long_word: int) -> Speller:
    """The speller of a dictionary, made once; an empty path is the English one that comes with symspellpy.

    Raises:
        DataError: If the file is not there.
    """
    file = Path(path) if path else dictionary_path()
    try:
        changed_ns = file.stat().st_mtime_ns
    except OSError as error:
        hint = "It is a file of lines 'word count'."
        raise DataError(f"This dictionary cannot be read ({error.strerror})", where=path, hint=hint) from error
    return _speller(file, changed_ns, ratio, long_word)


@lru_cache(maxsize=4)
def _speller(path: Path, changed_ns: int, ratio: float, long_word: int) -> Speller:
    return Speller(path, ratio, long_word)
