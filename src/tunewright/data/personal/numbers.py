"""Numbers that stand for a person or their money: cards, bank accounts, national identity numbers.

Each is checked by the rule its issuer gave it, so that other numbers of the same length are left alone.
"""

from __future__ import annotations

import re
from itertools import cycle

from tunewright.data.personal.spans import Span, before, matching

# Not inside a longer number, word or amount. The first stands behind a pattern's first character: the search then skips
# quickly to where that one occurs.
_START, _END = r"(?<![\w.,#/-].)", r"(?![\w#/-])(?![.,]\d)"

_CARD = re.compile(rf"[2-6]{_START}(?:[ -]?\d){{12,18}}{_END}")
_IBAN = re.compile(rf"[A-Za-z]{_START}[A-Za-z]\d{{2}}(?:[ -]?[A-Za-z0-9]){{11,30}}{_END}")


def luhn(digits: str) -> bool:
    """Whether a number's last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = sum(sum(divmod(int(digit) * factor, 10)) for digit, factor in zip(reversed(digits), cycle((1, 2))))
    return total % 10 == 0


def iban(text: str) -> bool:
    """Whether an account number leaves 1 modulo 97 (ISO 13616, ISO 7064)."""
    compact = re.sub(r"[ -]", "", text).upper()
    return 15 <= len(compact) <= 34 and int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_card(text: str) -> bool:
    digits = _digits(text)
    # Cards of one length and prefix (ISO/IEC 7812): one repeated digit passes the check, and is nobody's.
    return len(set(digits)) > 1 and luhn(digits)


cards = matching(_CARD, _is_card)


def ibans(text: str, region: str | None) -> list[Span]:
    """International bank account numbers, in one piece or in groups; words after one are no part of it."""
    found: list[Span] = []
    at = 0
    while match := _IBAN.search(text, at):
        # "DE89 3704 0044 0532 0130 00 by Monday": the longest piece that checks is the number.
        lengths = range(match.end(), match.start() + 14, -1)
        end = next((end for end in lengths if _is_iban(text, match.start(), end)), None)
        if end is not None:
            found.append((match.start(), end))
        at = match.start() + 1 if end is None else end
    return found


def _is_iban(text: str, start: int, end: int) -> bool:
    return text[end - 1].isalnum() and not text[end : end + 1].isalnum() and iban(text[start:end])


def _social_security(text: str) -> bool:
    # Never issued: area 000, 666 or from 900 on, group 00, serial 0000 (Social Security Administration).
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _dni(text: str) -> bool:
    # Spain: the letter is the number modulo 23; a foreigner's begins with X, Y or Z for 0, 1 or 2.
    compact = text.upper().replace("-", "")
    number = str("XYZ".find(compact[0])) + compact[1:-1] if compact[0] in "XYZ" else compact[:-1]
    return compact[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


# fmt: off
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
    25, 24, 23,
], strict=True))
# fmt: on


def _codice_fiscale(text: str) -> bool:
    # Italy: odd places by a table, even ones by their rank; the last letter is the sum modulo 26.
    code = text.upper()
    odd = sum(_ODD[c] for c in code[:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in code[1:15:2])
    return chr(65 + (odd + even) % 26) == code[15]


def _nir(text: str) -> bool:
    # France: the last two digits are 97 less the number modulo 97; Corsica's 2A and 2B count as 19 and 18.
    compact = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    return int(compact[13:]) == 97 - int(compact[:13]) % 97


def _cpf(text: str) -> bool:
    # Brazil: two check digits, each the weighted sum modulo 11.
    digits = [int(c) for c in _digits(text)]
    checks = [sum(d * w for d, w in zip(digits[:n], range(n + 1, 1, -1), strict=True)) * 10 % 11 % 10 for n in (9, 10)]
    return len(set(digits)) > 1 and digits[9:] == checks


_NATIONAL = (
    matching(re.compile(rf"\d{_START}\d{{2}}-\d{{2}}-\d{{4}}{_END}"), _social_security),
    # United Kingdom: prefixes and suffixes as HMRC gives them out (NIM39110).
    matching(
        re.compile(
            rf"[A-CEGHJ-PR-TW-Z]{_START}(?<!B(?=G)|G(?=B)|K(?=N)|N(?=[KT])|T(?=N)|Z(?=Z))[A-CEGHJ-NPR-TW-Z]"
            rf"(?: ?\d{{2}}){{3}} ?[A-D]{_END}"
        )
    ),
    matching(re.compile(rf"[\dXYZxyz]{_START}(?:(?<=\d)\d{{7}}|(?<!\d)-?\d{{7}})-?[A-Za-z]{_END}"), _dni),
    matching(
        re.compile(rf"[A-Za-z]{_START}[A-Za-z]{{5}}\d{{2}}[A-EHLMPRSTa-ehlmprst]\d{{2}}[A-Za-z]\d{{3}}[A-Za-z]{_END}"),
        _codice_fiscale,
    ),
    matching(
        re.compile(rf"[12]{_START} ?\d{{2}} ?\d{{2}} ?(?:\d{{2}}|2[ABab]) ?\d{{3}} ?\d{{3}} ?\d{{2}}{_END}"), _nir
    ),
    matching(re.compile(rf"\d{_START}\d{{2}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_END}"), _cpf),
)
_SSN_CALLED = re.compile(r"\b(?:ssn|social security(?: (?:no|number))?)\b[\s.:#=(-]*(?:is\s+)?$", re.IGNORECASE)
_NINE = re.compile(r"(?<!\d)\d{3} ?\d{2} ?\d{4}(?!\d)")


def national_ids(text: str, region: str | None) -> list[Span]:
    """Identity numbers of the United States, the United Kingdom, Spain, Italy, France and Brazil.

    Nine bare digits are a social security number only where they are called one.
    """
    called = [match.span() for match in _NINE.finditer(text) if _SSN_CALLED.search(before(text, match.start()))]
    found = sorted([span for find in _NATIONAL for span in find(text, region)] + called)
    return [span for at, span in enumerate(found) if at == 0 or span[0] >= found[at - 1][1]]
