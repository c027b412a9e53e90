"""Names are found where a text treats a word as somebody's, whether or not a list has it; other words stay."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.personal import planted
from tunewright.data.personal.lexicon import Known, fold_word, gazetteer, known
from tunewright.data.personal.names import names, sparing


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in names(text, None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My name is Zorvath Lindqvister and I need help.", ["Zorvath Lindqvister"]),
        ("my name is john smith and i need help", ["john smith"]),
        ("hi anna, im john smith and my name is wrong. thanks, zorvath", ["anna", "john smith"]),
        ("Regards,\nOluwaseuna Adeyemiwe", ["Oluwaseuna Adeyemiwe"]),
        ("Dr. Zorvath told me. Mrs O'Zorvath did not.", ["Zorvath", "O'Zorvath"]),
        ("I spoke with J. R. Zorvath today.", ["J. R. Zorvath"]),
        ("It went to Anna van der Zorvathe, not to me.", ["Anna van der Zorvathe"]),
        ("Ask Jean-Luc Zorvath or Jean ZORVATH.", ["Jean-Luc Zorvath", "Jean ZORVATH"]),
        ("John has 3 apples and Mary has 4.", ["John", "Mary"]),
        ("Anna Carpenter called.", ["Anna Carpenter"]),
        ("Will Anna come? Can Zorvath come, too?", ["Anna", "Zorvath"]),
        ("Put the name from Ilse Zorvathe to Nils Zorvathe.", ["Ilse Zorvathe", "Nils Zorvathe"]),
        ("Zorvath's account is locked.", ["Zorvath"]),
        ("Ilse Zorvathe wrote twice; then Zorvathe moved.", ["Ilse Zorvathe", "Zorvathe"]),
        ("From: Priyanka Zorvath <[EMAIL]>", ["Priyanka Zorvath"]),
        ("PLEASE CALL ANNA KOWALSKA NOW", ["ANNA KOWALSKA"]),
        ("Lieber Herr Dr. von Zorvath, guten Tag", ["Zorvath"]),
        ("Sehr geehrte Frau Zorvath, Ihre Rechnung ist da.", ["Zorvath"]),
        ("Mit freundlichen Grüßen\nJörn Zorvath", ["Jörn Zorvath"]),
        ("Cordialement,\nÉtiennette Zorvath", ["Étiennette Zorvath"]),
        ("Bonjour Madame Zorvath, merci.", ["Zorvath"]),
        ("my wife Zorvatha and I", ["Zorvatha"]),
        ("Anna and Zorvath were there.", ["Anna", "Zorvath"]),
    ],
)
def test_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I installed Kubernetes on my laptop on Monday in May.",
        "The Zentrix Cloud is down in Berlin.",
        "The Samsung Galaxy S21 and the iPhone 12 Pro are here.",
        "How To Reset Your Password In Five Steps",
        "I am German and live in Porto Zorvatho.",
        "Mark the box. Grace period over. Will it work? May I ask?",
        "im happy, ive paid; this is late. my name is on the list, hello world, thanks again",
        "DO NOT OPEN THE API PORT ON THE NEW SERVER",
        "call ZorvathClient.connect() or zorvath_lindqvist in Zorvath.py",
        "ZorvathLindqvist, zorvath@Lindqvist, #Zorvath",
        "Die Bestellung und die Rechnung kamen am Montag mit der Post.",
        "La facture de la commande est arrivée mardi à Bordeaux.",
        "Lake Zorvath and Zorvath University are far away.",
        "Hello Support, dear Customer Service",
        "[NAME] and [ADDRESS], Person-k3vq7ya2m5xd",
        "Zorvath® beats Lindqvister™",
    ],
)
def test_left_alone(text: str) -> None:
    assert found(text) == []


def test_what_the_recipe_keeps_stays() -> None:
    text = "I asked Aurora Lindqvister about the Aurora Lamp from Zorvath Velora."
    assert found(text) == ["Aurora Lindqvister", "Zorvath Velora"]
    kept = sparing(names, ["zorvath velora", "Lamp"])
    assert [text[start:end] for start, end in kept(text, None)] == ["Aurora Lindqvister"]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("anna", Known.GIVEN),
        ("grace", Known.WORDLIKE_GIVEN),
        ("kowalski", Known.FAMILY),
        ("monday", Known.ORDINARY),
        ("invoice", Known.ORDINARY),
        ("rechnung", Known.ORDINARY),
        ("zorvath", Known.UNKNOWN),
    ],
)
def test_what_is_known_of_a_word(word: str, kind: Known) -> None:
    assert known(word) is kind


@given(
    st.lists(
        st.sampled_from(
            ["12", "3.50", "A-1029", "2024-03-05", "Anna", "S21", "Zorvath", "No", "IBAN", "7", "x3", "of"]
        ),
        max_size=9,
    )
)
@settings(deadline=None, max_examples=200)
def test_no_digit_is_in_a_name_and_places_are_apart(words: list[str]) -> None:
    text = " ".join(words)
    spans = names(text, None)
    assert not any(any(map(str.isdigit, text[start:end])) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(st.text(alphabet="0123456789 .,:;-/()%€$#\n", max_size=60))
@settings(deadline=None, max_examples=100)
def test_nothing_is_found_in_numbers(text: str) -> None:
    assert names(text, None) == []


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=200)
def test_any_text_will_do(text: str) -> None:
    spans = names(text, None)
    assert all(0 <= start < end <= len(text) for start, end in spans)


def test_names_in_no_list_are_found_and_other_words_are_not() -> None:
    parts = {part for name in planted.GIVEN + planted.FAMILY for part in (name, *name.split("-"))}
    assert not {fold_word(part) for part in parts} & gazetteer()
    wanted = right = hits = 0
    for number, template in enumerate(planted.ABOUT_PEOPLE * 3):
        given_name = planted.GIVEN[number % len(planted.GIVEN)]
        family = planted.FAMILY[(7 * number) % len(planted.FAMILY)]
        values = {
            "full": f"{given_name} {family}",
            "given": given_name,
            "family": family,
            "initial": given_name[0],
            "other": f"{planted.GIVEN[-1 - number % 20]} {planted.FAMILY[-1 - number % 20]}",
        }
        text = template.format(**values)
        there = {values[field] for field in re.findall(r"\{(\w+)\}", template)} - {values["initial"]}
        names_found = found(text)
        wanted += len(there)
        right += sum(any(name in one for one in names_found) for name in there)
        hits += len(names_found)
    wrong = sum(len(found(text)) for text in planted.NEGATIVES)
    assert right / wanted >= 0.95
    assert right / (hits + wrong) >= 0.95
