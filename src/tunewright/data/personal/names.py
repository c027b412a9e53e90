"""People's names: by what is known of the words, by their shape, and by what stands around them.

A run of capitalised words is weighed: each word by itself (`lexicon.known`), the words before and behind it (`cues`),
and what it would be called if it were a firm, a place or a product. What reaches the threshold is a name. So a name
that is in no list is found where the sentence treats it as one, and "Kubernetes", "Monday" and "Lake Constance" stay.
"""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tunewright.data.personal import cues
from tunewright.data.personal.lexicon import Known, fold_word, known, rank
from tunewright.data.personal.spans import Finder, Span

_THRESHOLD = 2.2
_WEIGHT = {
    Known.GIVEN: 2.3,
    Known.WORDLIKE_GIVEN: 1.3,
    Known.FAMILY: 1.5,
    Known.WORDLIKE_FAMILY: 0.5,
    Known.PLACE: -1.0,
    Known.ORDINARY: 0.3,
    Known.UNKNOWN: 1.2,
}
_INITIAL, _SHAPE, _SHOUTED = 0.6, 1.5, -1.5
# German writes every noun with a capital, so that an unknown word says little there.
_UNKNOWN_IN_GERMAN = 0.5
_LONE, _LONE_WORDLIKE = -1.5, -1.0
# A capital in mid-sentence on a word that is a name as well.
_CHOSEN = 1.0
_SEVERAL = 0.5
_LONGEST = 5
_CONTEXT_BEFORE, _CONTEXT_BEHIND = 36, 40
_STRONG = 2.7
# An English word less frequent than this may be a family name beside a given one.
_RARE = 1_500
# Less frequent than this in lower case: "john smith", but not "john will".
_COMMON_BESIDE_A_NAME = 500

_UPPER = "".join(chr(code) for code in (*range(0x41, 0x250), *range(0x1E00, 0x1F00)) if chr(code).isupper())
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"(?<![\w@#\\/=+.&~])(?<!\w[-'’])"
    rf"(?>[{_UPPER}](?:{_LETTER}|['’](?!s(?!\w))(?={_LETTER})|-(?=[{_UPPER}]))*)"
    r"(?![\w@\\=~]|\.\w\w|://|\(\w*\)|-\w|/\w)"
)
_GAP = re.compile(rf"[ \u00a0]+(?:(?:{cues.PARTICLES})[ \u00a0]+){{0,3}}|[ \u00a0]*(?:al|el)-")
_GAP_OF_INITIAL = re.compile(r"\.?[ \u00a0]?")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;…]|[\n\r•*>|–—-])[\s\"'“”‘’«»(¿¡*_>-]*$")
_PREFIXED = re.compile(r"(?:Mc|Mac|De|Di|Da|Le|La|Van|Von|Fitz|Abd|El|Al|St|[A-ZÀ-Þ]['’])(?=[A-ZÀ-Þ])")
_SHAPED = re.compile(r"(?:Mc|Mac|O['’]|D['’]|Fitz)[A-Z]")
_CAMEL = re.compile(rf"[^{_UPPER}'’-][{_UPPER}]")
_TITLE = re.compile(
    r"(?:^|[^\w])(?:(?:[Mm]r|[Mm]rs|[Mm]s|[Dd]r|[Pp]rof|[Mm]iss|[Hh]errn?|[Ff]rau|[Mm]me|[Mm]lle|[Mm]onsieur|[Mm]adame|"
    r"MR|MRS|MS|DR|PROF|HERRN?|FRAU|MME|M|Mx|Sir|Madam|Mademoiselle|Professor|Doctor|Fräulein|Señora?|Señorita|Sra?|Don|"
    r"Doña|Signora?|Rev|Reverend|Fr|Father|Sister|Brother|Uncle|Aunt|Lady|Lord|Dame|Captain|Capt|Sgt|Sergeant|Lt|"
    r"Lieutenant|Major|Colonel|General|Judge|Senator|President|Officer|Inspector|Detective|Docteur|Maître|[Ff]amilie|"
    r"[Ff]amille)\.?[ \u00a0]+)"
    rf"(?:(?:{cues.PARTICLES})[ \u00a0]+){{0,2}}$"
)
_MODALS = frozenset(("will", "may", "can", "mark", "bill", "in", "to", "so", "my", "an"))
_NO_FAMILY = cues.THINGS | cues.TITLES | cues.CALENDAR | cues.PEOPLES
# Words that follow a person as well as a thing; in lower case they say nothing.
_THINGS_BEHIND = cues.THINGS - frozenset(
    "home family plan day week month year open test mail chat pay show post news press set box store line account card "
    "act south north east west air new battle shoes model office shop market company group school church bank"
    " team".split()
)
_NEXT_WORD = re.compile(rf"[ \u00a0-]+({_LETTER}+)")
_LAST_WORD = re.compile(rf"({_LETTER}+)(?: of| de| von)?[ \u00a0]+$")
_AND = re.compile(r"(?:,|,? (?:and|und|et|y|e|or|oder|&)|/)[ \u00a0]$")
_LONGEST_LINK = 8
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    folded: str
    kind: Known
    breaks: bool  # no part of a name, whatever stands around it
    is_initial: bool = False
    has_shape: bool = False  # O'…, Mc…
    is_shouted: bool = False  # in capitals throughout, where the text is not


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Words that may be a name; what stands beside them in the same run of capitals, if anything does."""

    tokens: tuple[_Token, ...]
    left: _Token | None
    right: _Token | None

    @property
    def span(self) -> Span:
        return self.tokens[0].start, self.tokens[-1].end

    @property
    def is_lone(self) -> bool:
        return sum(not token.is_initial for token in self.tokens) == 1 and len(self.tokens) == 1


def sparing(find: Finder, keep: Collection[str]) -> Finder:
    """A finder that leaves some words and phrases alone, whatever their case: products, brands."""
    phrases = sorted(keep, key=len, reverse=True)
    kept = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, phrases))})(?!\w)", re.IGNORECASE)

    def spared(text: str, region: str | None) -> list[Span]:
        found = find(text, region)
        places = [match.span() for match in kept.finditer(text)] if found else []
        return [span for span in found if not any(span[0] < end and start < span[1] for start, end in places)]

    return spared


def names(text: str, region: str | None) -> list[Span]:
    """People's names, without their titles."""
    tokens = list(_tokens(text))
    found = list(_in_lower_case(text))
    candidates = list(_candidates(text, tokens)) if any(not token.breaks for token in tokens) else []
    if candidates:
        is_german = _is_german(text)
        ends = {end for _, end in found}
        whole: set[str] = set()
        for candidate in candidates:
            link = _AND.search(text, max(0, candidate.span[0] - _LONGEST_LINK), candidate.span[0])
            follows = link is not None and link.start() in ends
            if name := _name(text, candidate, is_german=is_german, follows=follows):
                found.append(name)
                ends.add(name[1])
                whole.update(_telling_parts(candidate, name))
        found.extend(_echoes(candidates, whole))
    return _apart(found)


def _tokens(text: str) -> Iterator[_Token]:
    is_shouted = text.isupper()
    for match in _TOKEN.finditer(text):
        word, (start, end) = match[0], match.span()
        folded = fold_word(word)
        if len(word) == 1:
            is_initial = text[end : end + 1] == "." or word not in "IA"
            yield _Token(start, end, folded, Known.UNKNOWN, breaks=not is_initial, is_initial=is_initial)
            continue
        kind = _kind(folded)
        breaks = kind is Known.ORDINARY or folded in cues.TITLES
        if word.isupper():
            # Capitals throughout are mostly short for something.
            is_long = len(word) > (2 if kind in (Known.GIVEN, Known.FAMILY) else 3)
            breaks = breaks or not (is_long or is_shouted)
            yield _Token(start, end, folded, kind, breaks, is_shouted=not is_shouted)
            continue
        if _CAMEL.search(word) and not _PREFIXED.match(word):
            breaks = True
        yield _Token(start, end, folded, kind, breaks, has_shape=not breaks and bool(_SHAPED.match(word)))


def _kind(folded: str) -> Known:
    """What a word is; of a hyphenated one, what its parts are."""
    kind = known(folded)
    if "-" not in folded or kind is not Known.UNKNOWN:
        return kind
    # "Al-Rashid": a particle says nothing.
    parts = {known(part) for part in folded.split("-") if len(part) > 2}
    if parts & {Known.ORDINARY, Known.PLACE}:
        return Known.ORDINARY
    return Known.GIVEN if parts <= {Known.GIVEN, Known.WORDLIKE_GIVEN} else Known.UNKNOWN


def _candidates(text: str, tokens: list[_Token]) -> Iterator[_Candidate]:
    for run in _runs(text, tokens):
        at = 0
        while at < len(run):
            if run[at].breaks:
                at += 1
                continue
            end = at
            while end < len(run) and not run[end].breaks:
                end += 1
            if not all(token.is_initial for token in run[at:end]) or (end < len(run) and _may_be_family(run[end])):
                yield _Candidate(tuple(run[at:end]), run[at - 1] if at else None, run[end] if end < len(run) else None)
            at = end


def _runs(text: str, tokens: list[_Token]) -> Iterator[list[_Token]]:
    """Capitalised words with nothing but spaces, particles and the dots of initials between them."""
    run: list[_Token] = []
    for token in tokens:
        if run:
            gap = text[run[-1].end : token.start]
            joins = _GAP.fullmatch(gap) or (run[-1].is_initial and _GAP_OF_INITIAL.fullmatch(gap))
            if not joins:
                yield run
                run = []
        run.append(token)
    if run:
        yield run


def _name(text: str, candidate: _Candidate, *, is_german: bool, follows: bool) -> Span | None:
    """The place of the name that a candidate is, if it is one."""
    candidate = _trimmed(text, candidate)
    if len(candidate.tokens) > _LONGEST:
        return None
    before, behind = _before(text, candidate.span[0]), _behind(text, candidate.span[1])
    candidate = _stretched(text, candidate, before)
    if candidate.tokens[-1].end != candidate.span[1]:
        behind = _behind(text, candidate.span[1])
    score = sum(map(_word_weight, candidate.tokens))
    if is_german:
        unknown = sum(token.kind is Known.UNKNOWN and not token.is_initial for token in candidate.tokens)
        score -= unknown * (_WEIGHT[Known.UNKNOWN] - _UNKNOWN_IN_GERMAN)
    if not candidate.is_lone:
        score += _SEVERAL
    else:
        score += _lone(text, candidate.tokens[0])
    score += before + behind + _neighbours(text, candidate) + (2.0 if follows else 0.0)
    return candidate.span if score >= _THRESHOLD else None


def _lone(text: str, token: _Token) -> float:
    """How much it speaks against a word that it stands alone: nothing for "Anna"; "Grace" may just begin a sentence."""
    if token.kind is Known.WORDLIKE_GIVEN:
        is_chosen = token.folded in cues.MOSTLY_PEOPLE and not _begins_sentence(text, token.start)
        return _CHOSEN if is_chosen else _LONE_WORDLIKE
    return 0.0 if token.kind is Known.GIVEN else _LONE


def _word_weight(token: _Token) -> float:
    if token.is_initial:
        return _INITIAL
    shape = _SHAPE if token.has_shape else _SHOUTED if token.is_shouted and token.kind is Known.UNKNOWN else 0.0
    return _WEIGHT[token.kind] + shape


def _trimmed(text: str, candidate: _Candidate) -> _Candidate:
    """Without a question's or sentence's first word: "Will Anna come?"."""
    first, *rest = candidate.tokens
    if rest and first.folded in _MODALS and rest[0].kind is Known.GIVEN and _begins_sentence(text, first.start):
        return replace(candidate, tokens=tuple(rest), left=None)
    return candidate


def _stretched(text: str, candidate: _Candidate, before: float) -> _Candidate:
    """With an ordinary word as the family name: "Anna Carpenter"."""
    right = candidate.right
    last = candidate.tokens[-1]
    if right is None or not _may_be_family(right):
        return candidate
    if last.kind not in (Known.GIVEN, Known.WORDLIKE_GIVEN, Known.UNKNOWN):
        return candidate
    if sum(not token.is_initial for token in candidate.tokens) > 1 and before < _STRONG:
        return candidate
    return replace(candidate, tokens=(*candidate.tokens, right), right=None)


def _may_be_family(token: _Token) -> bool:
    """Whether an ordinary word may be a family name beside a given one or an initial."""
    if token.is_initial or token.folded in _NO_FAMILY:
        return False
    frequency = rank(token.folded)
    return token.kind is Known.ORDINARY and frequency is not None and frequency >= _RARE


def _before(text: str, start: int) -> float:
    """How much the words before a place speak for a name."""
    left = text[max(0, start - _CONTEXT_BEFORE) : start]
    if start > _CONTEXT_BEFORE:
        # What is left of a word that was cut is none of the cues.
        left = "x" + left[left.find(" ") :]
    if _TITLE.search(left):
        return 5.0
    return _first(cues.BEFORE, left) + next((weight for weight, cue in cues.AGAINST if cue.search(left)), 0.0)


def _first(weighed: tuple[tuple[float, re.Pattern[str]], ...], left: str) -> float:
    return next((weight for weight, cue in weighed if cue.search(left)), 0.0)


def _behind(text: str, end: int) -> float:
    """How much the words behind a place speak for a name."""
    right = text[end : end + _CONTEXT_BEHIND]
    return next((weight for weight, cue in cues.AFTER if cue.match(right)), 0.0)


def _neighbours(text: str, candidate: _Candidate) -> float:
    """How much the words beside a name speak against it: what is a thing's or a place's name, or a headline."""
    against = 0.0
    left, right = candidate.left, candidate.right
    if right is not None and right.breaks:
        against -= 5.0 if right.folded in cues.THINGS else 1.0
    elif (match := _NEXT_WORD.match(text, candidate.span[1])) and match[1] in _THINGS_BEHIND:
        against -= 2.5
    if any(token.folded in cues.THINGS and token.kind is not Known.WORDLIKE_FAMILY for token in candidate.tokens[1:]):
        against -= 4.0
    if left is not None and left.folded not in cues.TITLES:
        is_thing = left.folded in cues.THINGS
        against -= 4.0 if is_thing else 0.0 if _begins_sentence(text, left.start) else 0.7
    elif left is None and (match := _LAST_WORD.search(text, max(0, candidate.span[0] - 30), candidate.span[0])):
        against -= 4.0 if fold_word(match[1]) in _PLACES_OF else 0.0
    return against


_PLACES_OF = frozenset(
    "university city lake mount river port isle bay cape fort bank hotel hospital province district county kingdom "
    "republic battle gulf sea state town village stadt universität université ville lac".split()
)


def _begins_sentence(text: str, start: int) -> bool:
    return bool(_SENTENCE_START.search(text[max(0, start - 12) : start]))


def _is_german(text: str) -> bool:
    words = {word.casefold() for word in _WORDS.findall(text)}
    german = len(words & cues.GERMAN)
    return german > 0 and german >= max(len(words & cues.ENGLISH), len(words & cues.FRENCH))


def _in_lower_case(text: str) -> Iterator[Span]:
    """Names in lower case, where somebody gives one as theirs or is spoken to by one that is known."""
    lowered = text.lower()
    forms = ((cues.INTRODUCING, cues.INTRODUCED, False), (cues.ADDRESSING, cues.ADDRESSED, True))
    for words, form, must_be_known in forms:
        if any(word in lowered for word in words):
            for match in form.finditer(text):
                value, start = match["value"], match.start("value")
                if value == value.casefold() and (length := _length_of_name(value, must_be_known)):
                    yield start, start + length


def _length_of_name(value: str, must_be_known: bool) -> int:
    """How much of some words in lower case is a name, in characters; 0 where it begins with none."""
    length = 0
    for word in value.split(" "):
        folded = fold_word(word)
        kind = _kind(folded)
        if kind in (Known.ORDINARY, Known.PLACE) or (must_be_known and not length and kind is not Known.GIVEN):
            break
        is_wordlike = kind in (Known.WORDLIKE_GIVEN, Known.WORDLIKE_FAMILY)
        if is_wordlike and (rank(folded) or 0) < (_COMMON_BESIDE_A_NAME if length else _RARE):
            break
        length += len(word) + (length > 0)
    return length


def _telling_parts(candidate: _Candidate, name: Span) -> Iterator[str]:
    """The parts of a whole name by which it is known again."""
    if len(candidate.tokens) == 1:
        return
    words = (Known.ORDINARY, Known.WORDLIKE_GIVEN, Known.WORDLIKE_FAMILY)
    for token in candidate.tokens:
        if name[0] <= token.start and token.end <= name[1] and token.kind not in words and not token.is_initial:
            yield token.folded


def _echoes(candidates: list[_Candidate], whole: Collection[str]) -> Iterator[Span]:
    """One part of a name that stands in the same text as a whole."""
    for candidate in candidates:
        is_thing = candidate.right is not None and candidate.right.folded in cues.THINGS
        if len(candidate.tokens) == 1 and candidate.tokens[0].folded in whole and not is_thing:
            yield candidate.span


def _apart(spans: list[Span]) -> list[Span]:
    """Places in order; the longer of two that overlap."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept
