"""Street addresses as several countries write them; streets without a number and numbers without a street stay."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.personal.addresses import addresses


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in addresses(text, None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ship it to 12 Elm Street, Springfield, IL 62704 please.", "12 Elm Street, Springfield, IL 62704"),
        ("I live at 221B Baker Street, London NW1 6XE.", "221B Baker Street, London NW1 6XE"),
        ("My address is 48 oak lane, leeds LS1 4AP and", "48 oak lane, leeds LS1 4AP"),
        ("4500 N. Lincoln Ave, Apt 3B, Chicago, IL 60625-1234", "4500 N. Lincoln Ave, Apt 3B, Chicago, IL 60625-1234"),
        ("Flat 4, 18 Rosebery Gardens, Bristol BS8 2QT", "Flat 4, 18 Rosebery Gardens, Bristol BS8 2QT"),
        ("It is at 350 5th Avenue, New York, NY 10118.", "350 5th Avenue, New York, NY 10118"),
        ("12 Elm St.\nLeeds LS1 4AP", "12 Elm St.\nLeeds LS1 4AP"),
        ("to 9 Quarry Hill Road; thanks", "9 Quarry Hill Road"),
        ("P.O. Box 1234, Austin, TX 78701", "P.O. Box 1234, Austin, TX 78701"),
        ("Ahornweg 3, 04109 Leipzig", "Ahornweg 3, 04109 Leipzig"),
        ("in der Berliner Straße 12a in 10115 Berlin.", "Berliner Straße 12a in 10115 Berlin"),
        ("Hauptstr. 5, 80331 München", "Hauptstr. 5, 80331 München"),
        ("Am Alten Markt 7, 50667 Köln und", "Am Alten Markt 7, 50667 Köln"),
        ("Postfach 1234, 50667 Köln", "Postfach 1234, 50667 Köln"),
        ("5 bis rue du Port, 29200 Brest", "5 bis rue du Port, 29200 Brest"),
        ("J'habite au 12, avenue de la République, 75011 Paris.", "12, avenue de la République, 75011 Paris"),
        ("45 rue des Lilas, 31000 Toulouse", "45 rue des Lilas, 31000 Toulouse"),
        ("Calle Mayor 5, 28013 Madrid", "Calle Mayor 5, 28013 Madrid"),
        ("Via Garibaldi 12, 20121 Milano", "Via Garibaldi 12, 20121 Milano"),
        ("Keizersgracht 123, 1015 CJ Amsterdam", "Keizersgracht 123, 1015 CJ Amsterdam"),
    ],
)
def test_found(text: str, expected: str) -> None:
    assert found(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "I paid 40 dollars on Main Street",
        "Route 66 is a 2 lane road; a 10 minute drive",
        "On 12 May Street vendors came",
        "We have 24 Hour Drive through and 7 Day Trial",
        "Am Montag 3 Pakete; Am 12. Mai um 5 Uhr; Im Januar 2024",
        "im Supermarkt 24 Eier, Bahnhof 3",
        "Der Weg ist 3 km lang, der Platz 5 Minuten entfernt",
        "la rue est longue, 3 rues plus loin",
        "order 12345, box 3 of 4, place 2",
        "version 2.0 in place, 3 ways to do it",
    ],
)
def test_left_alone(text: str) -> None:
    assert found(text) == []


@given(st.text(alphabet="0123 ElmStretRoadLn,.\n#-aé", max_size=60))
@settings(deadline=None, max_examples=150)
def test_places_are_in_order_and_hold_a_digit(text: str) -> None:
    spans = addresses(text, None)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(any(map(str.isdigit, text[start:end])) for start, end in spans)
