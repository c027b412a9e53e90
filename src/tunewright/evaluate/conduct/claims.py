"""What an answer claims, and what of it no source holds: numbers, names, sentences. Rules, and no understanding."""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tunewright.data.near import words_of
from tunewright.data.personal.lexicon import Known, fold_word, known, rank
from tunewright.data.personal.names import names
from tunewright.data.synthesis.grounding import grounding
from tunewright.evaluate.conduct.quantities import Figures, figures, unsupported
from tunewright.evaluate.conduct.sentences import sentences

ClaimKind = Literal["number", "name", "sentence"]
KINDS: tuple[ClaimKind, ...] = ("number", "name", "sentence")

# Capitalised words, one behind the other, that may be joined by small ones: "Bank of Scotland".
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’-]*"
_RUN = re.compile(
    rf"(?<![\w'’@#/.-]){_CAPITAL}(?:[ \u00a0](?:(?:of|the|de|la|van|von|and|&)[ \u00a0]){{0,2}}{_CAPITAL})*"
)
_START = re.compile(r"(?:\A|[.!?:;…\n\"“”«»(\[*•-])\s*\Z")
_LOOK_BACK = 8
_NO_NAMES = frozenset(
    "i i'm i've i'll i'd ok okay yes no mr mrs ms dr dear hello hi thanks sincerely regards pm am monday tuesday "
    "wednesday thursday friday saturday sunday january february march april may june july august september october "
    "november december".split()
)
# What is said out of courtesy claims nothing.
_COURTESY = re.compile(
    r"(?:(?:many )?thank(?:s| you)|please|have a|let (?:me|us) know|feel free|you['’]re welcome"
    r"|if (?:you|there) [^,.]*(?:questions?|help|needs?|else)|how (?:can|may) (?:i|we)"
    r"|(?:i|we)(?: am| are|['’]m|['’]re)(?: very| so| always| here)? ?(?:happy|glad|sorry|pleased|here)"
    r"|(?:i|we) (?:hope|apologi[sz]e|understand|appreciate))\b",
    re.IGNORECASE,
)
_LEAST_WORDS = 4  # a shorter sentence holds too little to be told apart by its words
_SHORTEST_WORD = 4
_COMMON = 500  # words more frequent than this are no place's name at the beginning of a sentence


@dataclass(frozen=True, slots=True)
class Source:
    """What answers are held against: a text, read once.

    Args:
        text: The whole of it.
        words: Its words, folded.
        figures: What is countable in it.
    """

    text: str
    words: frozenset[str]
    figures: Figures

    @classmethod
    def read(cls, texts: Sequence[str]) -> Source:
        """Several texts as one source."""
        text = "\n".join(texts)
        return cls(text, frozenset(words_of(text).split()), figures(text))


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of an answer that its source does not hold."""

    kind: ClaimKind
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer's claims.

    Args:
        counts: How many there are of each kind.
        missing: Those that the source does not hold.
    """

    counts: dict[ClaimKind, int]
    missing: tuple[Claim, ...]


def check_claims(
    answer: str,
    source: Source,
    *,
    overlap: float,
    like: Callable[[str, str], bool] | None = None,
    kinds: Sequence[ClaimKind] = KINDS,
) -> Checked:
    """Holds an answer's claims against a source.

    Args:
        answer: The text.
        source: What may be claimed.
        overlap: Least share of a sentence's content words that must stand in the source; a heuristic.
        like: Says whether a sentence means what something in the source text does; asked where words do not overlap.
        kinds: Which claims are looked at.
    """
    counted = figures(answer)
    numbers = unsupported(counted, source.figures, source.text)
    found = list(_names(answer))
    told = list(_told(answer))
    missing = [
        *(Claim("number", number) for number in numbers),
        *(Claim("name", name) for name in found if not _holds_name(name, source)),
        *(Claim("sentence", sentence) for sentence in told if not _holds(sentence, source.text, overlap, like)),
    ]
    size = len(counted.quantities) + len(counted.dates) + len(counted.identifiers)
    counts: dict[ClaimKind, int] = {"number": size, "name": len(found), "sentence": len(told)}
    return Checked(
        {kind: count for kind, count in counts.items() if kind in kinds},
        tuple(claim for claim in missing if claim.kind in kinds),
    )


def disagreement(
    answer: str, samples: Sequence[str], *, overlap: float, kinds: Sequence[ClaimKind] = KINDS
) -> float | None:
    """How little further answers to the same question agree with one, from 0 (wholly) to 1; None where it says nothing.

    Each number, name and sentence is held against each sample; the mean share of samples that do not hold it. After
    SelfCheckGPT (Manakul et al. 2023, arXiv:2303.08896), whose n-gram variant this is nearest to.
    """
    read = [check_claims(answer, Source.read([sample]), overlap=overlap, kinds=kinds) for sample in samples]
    claims = sum(read[0].counts.values()) if read else 0
    if not claims:
        return None
    return sum(len(each.missing) for each in read) / (claims * len(read))


def _told(answer: str) -> Iterator[str]:
    """Sentences that tell something: no questions, no courtesies, and with a few words of some length."""
    for sentence in sentences(answer):
        if _COURTESY.match(sentence):
            continue
        long = [word for word in words_of(sentence).split() if len(word) >= _SHORTEST_WORD]
        if not sentence.rstrip("\"'”’)").endswith("?") and len(long) >= _LEAST_WORDS:
            yield sentence


def _holds(sentence: str, text: str, overlap: float, like: Callable[[str, str], bool] | None) -> bool:
    return grounding(sentence, text).share >= overlap or (like is not None and like(sentence, text))


def _names(answer: str) -> Iterator[str]:
    """Names: people's, and what is written with a capital where no sentence begins; each once."""
    spans = list(names(answer, None))
    for match in _RUN.finditer(answer):
        begin, end = match.span()
        if any(begin < other_end and other < end for other, other_end in spans):
            continue
        words = match[0].split()
        if _START.search(answer[max(0, begin - _LOOK_BACK) : begin]):
            # A sentence's first word says nothing, unless it is a place's; a second capital behind it does.
            words = words if _is_place(words[0]) else words[1:]
        spans += [(end - len(" ".join(words)), end)] if words and not _is_ordinary(words) else []
    yield from dict.fromkeys(answer[begin:end] for begin, end in sorted(spans))


def _is_place(word: str) -> bool:
    """Whether a word is a place's name, and no common word beside ("The Hague")."""
    folded = fold_word(word)
    frequency = rank(folded)
    return known(folded) is Known.PLACE and (frequency is None or frequency >= _COMMON)


def _is_ordinary(words: Sequence[str]) -> bool:
    return all(word.casefold().strip(".'’") in _NO_NAMES or not word[:1].isupper() for word in words)


def _holds_name(name: str, source: Source) -> bool:
    """Whether all of a name's words stand in the source, somewhere."""
    return all(_stem(word) in source.words or word in source.words for word in words_of(name).split() if word != "s")


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
