"""What is known of words: given and family names, places, and the ordinary words of English.

Names and places come from Faker's lists (MIT licence), ordinary words from symspellpy's frequency dictionary (MIT),
which holds proper nouns as well, all in lower case: a word is ordinary if it stands there and is nobody's name.
"""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files

from tunewright.data.personal.cues import CALENDAR, FOREIGN_WORDS, NAMES_THAT_ARE_WORDS, PEOPLES, SHORT_NAMES

_ENGLISH = "en_GB en_IE en_IN en_KE en_NZ en_PK en_US".split()
# Countries that write in Latin letters.
_OTHERS = (
    "cs_CZ da_DK de_AT de_CH de_DE es_CO es_ES es_MX et_EE fi_FI fr_BE fr_CH fr_FR ha_NG hr_HR hu_HU id_ID ig_NG it_IT "
    "lt_LT nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE tr_TR vi_VN yo_NG zu_ZA"
).split()
_ADDRESSES = "de_DE en_GB en_IN en_US es_ES fr_FR it_IT nl_NL pl_PL sv_SE".split()
_PLACES = ("cities", "cap_city_province", "countries", "states", "regions", "counties", "departments", "provinces")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Words more frequent than this are taken for a name only if English speakers bear it.
_COMMON = 8_000


class Known(Enum):
    """What a capitalised word is by itself."""

    GIVEN = "given name"
    WORDLIKE_GIVEN = "given name that is a word, too"
    FAMILY = "family name"
    WORDLIKE_FAMILY = "family name that is a word, too"
    PLACE = "place"
    ORDINARY = "ordinary word"
    UNKNOWN = "in no list"


def fold_word(word: str) -> str:
    """A word as the lists hold it: case-folded, with a straight apostrophe."""
    return word.replace("’", "'").casefold()


def gazetteer() -> frozenset[str]:
    """Every name that is known, folded."""
    given, family = _given(), _family()
    return frozenset(given.keys() | family.keys())


@lru_cache(maxsize=1 << 16)
def known(word: str) -> Known:
    """What a folded word is by itself."""
    if word in CALENDAR or word in PEOPLES or word in FOREIGN_WORDS:
        return Known.ORDINARY
    rank = _ranks().get(word)
    given, family, place = _given().get(word), _family().get(word), _places().get(word, False)
    is_common = rank is not None and rank < _COMMON
    if given is not None and (given or not is_common):
        return Known.WORDLIKE_GIVEN if word in NAMES_THAT_ARE_WORDS else Known.GIVEN
    if family is not None and (family or not is_common) and not (place and is_common):
        return Known.FAMILY if rank is None else Known.WORDLIKE_FAMILY
    if word in _places():
        return Known.PLACE
    return Known.UNKNOWN if rank is None else Known.ORDINARY


def rank(word: str) -> int | None:
    """How many English words are more frequent than a folded one; none if it is no English word."""
    return _ranks().get(word)


@cache
def _given() -> dict[str, bool]:
    """Given names, folded, and whether English speakers bear them."""
    return _names("first_names") | dict.fromkeys(SHORT_NAMES, True)


@cache
def _family() -> dict[str, bool]:
    return _names("last_names")


def _names(kind: str) -> dict[str, bool]:
    return dict.fromkeys(_listed(_OTHERS, kind), False) | dict.fromkeys(_listed(_ENGLISH, kind), True)


def _listed(locales: Iterable[str], kind: str) -> Iterator[str]:
    for locale in locales:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for field in vars(provider):
            if kind in field:
                for name in getattr(provider, field):
                    # Particles ("de", "van") are no names of their own.
                    yield from (fold_word(word) for word in _WORD.findall(name) if word[0].isupper() and len(word) > 1)


@cache
def _places() -> dict[str, bool]:
    """Words of the names of countries, regions and cities, folded, and whether one alone is such a name."""
    found: dict[str, bool] = {}
    for locale in _ADDRESSES:
        provider = importlib.import_module(f"faker.providers.address.{locale}").Provider
        for field in _PLACES:
            for place in getattr(provider, field, ()):
                name = place if isinstance(place, str) else place[-1]
                words = [fold_word(word) for word in _WORD.findall(name) if word[0].isupper() and len(word) > 2]
                for word in words:
                    found[word] = found.get(word, False) or len(words) == 1
    return found


@cache
def _ranks() -> dict[str, int]:
    """English words, from the most frequent (0) to the rarest (some 83,000); proper nouns among them."""
    text = (files("symspellpy") / "frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8-sig")
    return {line.split(" ", 1)[0]: rank for rank, line in enumerate(text.splitlines())}
