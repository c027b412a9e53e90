"""Street addresses: a house number beside a street's name, and the flat, postcode and town that follow.

Forms of the United States and the United Kingdom ("12 Elm Street, Leeds LS1 4AP"), of Germany, Austria and
Switzerland ("Ahornweg 3, 04109 Leipzig"), France ("5 bis rue du Port, 29200 Brest"), Spain, Italy and the Netherlands,
and boxes at a post office. A street without a number is nobody's address.
"""

from __future__ import annotations

import re

from tunewright.data.personal.spans import Span

_CAPITAL = "A-ZÀ-ÖØ-Þ"
_WORD = rf"[{_CAPITAL}][\w'’.-]*"
_NUMBER = r"(?:\d{1,5}(?:[-–/]\d{1,5})?(?: ?[A-Za-z](?![\w'’]))?)"
_COMMA = r"(?:,\s*|\s+-\s+|[ \t]*\n[ \t]*|[ \t]+)"
_TOWN_WORD = rf"(?:St\. ?)?[{_CAPITAL}][\w'’]*"
_TOWN = (
    rf"{_TOWN_WORD}"
    rf"(?:[ -](?:(?:am|an der|an|im|in|ob der|vor der|sur|de|la|le|les|upon|on|of|der|y|del|di)[ -])?"
    rf"{_TOWN_WORD}){{0,3}}"
)

_STREETS = (
    "street|str|st|road|rd|avenue|ave|av|boulevard|blvd|lane|ln|drive|dr|court|ct|way|place|pl|square|sq|terrace|ter|"
    "close|crescent|cres|gardens|gdns|grove|mews|row|walk|parkway|pkwy|highway|hwy|circle|cir|trail|trl|quay|alley|"
    "plaza|green|rise|vale|view|wharf|loop|run|pike|turnpike|expressway|expy|causeway|crossing|path|commons|heights"
)
_UNIT = (
    r"(?i:(?:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|building|bldg|block|no)\b\.?\s*#?\s*[\w-]{1,6}|"
    r"#\s?\w{1,6}|\d{1,2}(?:st|nd|rd|th) floor)"
)
_STATE = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|"
    r"W[AVIY]|PR)"
)
_UK_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}"
_ENGLISH_END = (
    rf"(?:{_COMMA}{_UNIT})?"
    rf"(?:(?:,\s*|\s*\n\s*|\s+(?:in\s+)?){_TOWN})??"
    rf"(?:(?:,\s*|\s*\n\s*|\s+)(?:{_STATE},?\s+\d{{5}}(?:-\d{{4}})?|{_UK_POSTCODE}|{_STATE}(?=[\s,.;]|$)))"
)
# A town alone, without a postcode, is taken behind a comma only, and only if no sentence goes on from it.
_TOWN_ALONE = rf"(?:,\s*{_TOWN}(?=\s*(?:[.;!?\n)]|$)))"
_ENGLISH = re.compile(
    rf"(?<![\w.,#/$€£-])(?:{_UNIT},?\s+)?{_NUMBER},?\s+"
    rf"(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.?\s+)?"
    rf"(?:(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th)|of|the)\s+){{1,4}}?(?i:{_STREETS})(?![\w-])\.?(?:\s+[NSEW]{{1,2}}(?!\w)\.?)?"
    rf"|(?:Broadway|Piccadilly|Whitehall|Strand|Kingsway)(?!\w))"
    rf"(?:{_ENGLISH_END}|(?:{_COMMA}{_UNIT})?{_TOWN_ALONE}?)"
)
# In lower case only where it is said to be an address.
_CALLED = re.compile(
    r"(?<!\w)(?:address(?: is| was)?|lives?(?: at)?|living at|deliver(?:ed)? (?:it )?to|ship(?:ped)? (?:it )?to|"
    r"send (?:it )?to|moved to|located at|house at|stay(?:ing)? at|reside[sd]? at)[:\s]+(?P<value>"
    rf"{_NUMBER},?\s+(?:(?!\d)\w[\w'’.-]*\s+){{1,3}}?(?:{_STREETS})(?![\w-])\.?(?:{_COMMA}{_UNIT})?"
    rf"(?:,?\s+(?:[a-z]+,?\s+)?(?:{_STATE}\s+)?(?:\d{{5}}(?!\d)|{_UK_POSTCODE}))?)",
    re.IGNORECASE,
)

_GERMAN_TOWN = rf"(?:,\s*|\s*\n\s*|\s+(?:in\s+)?)(?:(?:D|A|CH|NL)[-–\s])?\d{{4,5}}(?:\s?[A-Z]{{2}})?\s+{_TOWN}"
_GERMAN_NUMBER = r"\d{1,3}(?:\s?[a-h](?!\w))?(?:\s?[-–/+]\s?\d{1,3}\s?[a-h]?(?!\w))?(?![\w]|[.,]\d)"
_GERMAN_FIRST = rf"(?:[{_CAPITAL}][\w'’.-]*[\s-]){{0,3}}?"
_GERMAN = re.compile(
    rf"(?<![\w-])(?:{_GERMAN_FIRST}[{_CAPITAL}][\w'’-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|steig|chaussee|"
    rf"promenade|stieg|pfad|straat|laan|plein|gracht|kade|singel|dreef)"
    rf"|(?:{_WORD}[\s-]){{1,3}}(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Steig|Chaussee))"
    rf"\s+{_GERMAN_NUMBER}(?!\s*(?:Uhr|Euro|€|%|Stück|Tage|Jahre|Minuten|Stunden|Kilometer|km|Meter|m)(?!\w))"
    rf"(?:{_GERMAN_TOWN}|,?\s+in\s+{_TOWN})?"
)
# Streets that sound like anything else ("Am Markt 3", "Schlosshof 2") are such only with postcode and town behind.
_GERMAN_WITH_TOWN = re.compile(
    rf"(?<![\w-])(?:(?:Am|An der|An den|Auf der|Auf dem|Im|In der|In den|Unter den|Zum|Zur|Hinter der|Vor dem|Bei der|"
    rf"Alter?|Neuer?|Großer?|Kleiner?)\s+{_WORD}(?:\s{_WORD})?|{_WORD})\s+{_GERMAN_NUMBER}{_GERMAN_TOWN}"
)

_FRENCH = re.compile(
    rf"(?<![\w.,#/-]){_NUMBER}(?:\s?(?:bis|ter|quater))?,?\s+"
    r"(?i:rue|avenue|av\.|boulevard|bd\.?|place|chemin|allée|impasse|quai|cours|square|route|passage|faubourg|sentier|"
    r"villa|résidence|ruelle|rond-point|esplanade|promenade|calle|carrer)\s+"
    rf"(?:(?:(?:(?:du|des|de|la|le|les|à|aux|au|sur|en|et|saint|sainte)\s+|[dl]['’]))*[{_CAPITAL}][\w'’]*[\s-]?){{1,5}}"
    rf"(?:(?:,\s*|\s*\n\s*|\s*(?:à\s+)?)(?:F[-–\s])?\d{{5}}\s+{_TOWN}(?:(?<=Cedex|CEDEX)\s\d{{1,2}})?|(?<=\w)\s*,\s*{_TOWN}(?=\s*(?:[.;!?\n)]|$)))?"
)
_SOUTHERN = re.compile(
    rf"(?<![\w-])(?:(?:[Cc]alle|[Cc]/|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|[Cc]arrer|[Rr]ua|[Vv]ia|[Vv]iale|[Pp]iazza|"
    rf"[Cc]orso|[Ll]argo|[Vv]icolo)\s?(?:(?:de|del|de la|de los|da|do|dos|di|della|dei|delle)\s+)?{_WORD}"
    rf"(?:\s(?:(?:de|del|da|do|di|della|y|e)\s)?{_WORD}){{0,3}},?\s+(?:n[ºo°.]*\s*)?{_NUMBER}(?![\w.,]\d))"
    rf"(?:,?\s+(?:\d{{4,5}}(?:-\d{{3}})?\s+{_TOWN}))?"
)
_BOX = re.compile(
    rf"(?<!\w)(?:P\.?\s?O\.?\s?Box|Post(?:al)? Office Box|Postfach|Apartado(?: de correos)?|Boîte postale|B\.?P\.?)"
    rf"\s+\d[\d ]{{0,7}}\d?"
    rf"(?:,?\s+(?:\d{{4,5}}\s+{_TOWN}|{_TOWN},?\s+(?:{_STATE}\s+\d{{5}}|{_UK_POSTCODE})))?"
)
_DIGIT = re.compile(r"\d")
# Without one of these there is no address; they are asked first, as that is cheap.
_HINT = re.compile(
    rf"(?<![^\W\d_])(?:{_STREETS}|broadway|piccadilly|whitehall|strand|kingsway|rue|bd|chemin|allée|impasse|quai|"
    r"cours|route|passage|faubourg|sentier|villa|résidence|ruelle|rond-point|esplanade|promenade|calle|carrer|c/|avenida|"
    r"avda|paseo|rua|via|viale|piazza|corso|largo|vicolo|box|postfach|apartado|boîte|b\.?p)(?![^\W\d_])|"
    r"(?:stra(?:ße|sse|at)|str\.|weg|platz|allee|gasse|damm|ufer|steig|chaussee|promenade|stieg|pfad|laan|plein|gracht|"
    rf"kade|singel|dreef|ring)\s+\d|\d{{4,5}}\s+[{_CAPITAL}]",
    re.IGNORECASE,
)
_FORMS = (_ENGLISH, _GERMAN, _GERMAN_WITH_TOWN, _FRENCH, _SOUTHERN, _BOX)
# "3 Day Way", "1 Way Street": numbers that count.
_COUNTED = re.compile(
    r"\d+\s+(?:Jan|Feb|March|April|May|June|July|August|Sept|Oct|Nov|Dec|Way|Day|Days|Lane|Star|Stars|Points?|Steps?|Hours?|Minutes?|Main|Years?|Weeks?|Months?|Times|Pack|Pieces?|"
    r"Percent|Inch|Miles?|Court|Square)[a-z]*\s+(?i:way|lane|street|road|drive|run|walk|view|place|row|court|square|close|path|"
    r"loop|trail|circle|plaza)(?!\w)"
)


def addresses(text: str, region: str | None) -> list[Span]:
    """Street addresses and boxes at a post office, as far as they go."""
    if not _DIGIT.search(text) or not _HINT.search(text):
        return []
    found = [match.span() for form in _FORMS for match in form.finditer(text)]
    found += [match.span("value") for match in _CALLED.finditer(text)]
    kept: list[Span] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if (kept and start < kept[-1][1]) or _COUNTED.match(text, start):
            continue
        # What closes a sentence is no part of it.
        stripped = text[start:end].rstrip(" \t\n,;")
        end = start + len(stripped)
        kept.append((start, end - 1 if stripped.endswith(".") and not _ABBREVIATED.search(stripped) else end))
    return kept


_ABBREVIATED = re.compile(r"(?<!\w)(?:st|rd|ave|av|blvd|dr|ln|ct|pl|sq|str|hwy|[nsew])\.$", re.IGNORECASE)
