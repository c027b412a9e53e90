"""Which names and sentences an answer claims, and which of them its source holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.evaluate.conduct.claims import Claim, Source, check_claims, disagreement
from tunewright.evaluate.conduct.refusals import is_refusal
from tunewright.evaluate.conduct.sentences import sentences

SOURCE = Source.read(["Anna bought 3 lamps for 20 euros in Oslo.", "The Bank of Scotland paid on 3 March 2024."])


def test_each_kind_of_claim_is_found() -> None:
    answer = (
        "Anna bought 3 lamps in Oslo for 25 euros. "
        "She later returned the broken lamp to Bergen because customers complained loudly."
    )
    found = check_claims(answer, SOURCE, overlap=0.5)
    assert found.counts == {"number": 2, "name": 3, "sentence": 2}
    assert found.missing == (
        Claim("number", "25 euros"),
        Claim("name", "Bergen"),
        Claim("sentence", "She later returned the broken lamp to Bergen because customers complained loudly."),
    )


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("Then Anna's sister met Peter Berg in Lyon.", ["Peter Berg", "Lyon"]),
        ("However, the Bank of Scotland paid.", []),
        ("Berlin is larger.", ["Berlin"]),
        ("I think the European Union pays.", ["European Union"]),
        ("On Monday in March I'm away.", []),
        ('{"city": "Oslo", "intent": "Refund"}', []),
        ("card_lost", []),
    ],
)
def test_names_the_source_does_not_hold(answer: str, names: list[str]) -> None:
    found = check_claims(answer, SOURCE, overlap=0.1)
    assert [claim.text for claim in found.missing if claim.kind == "name"] == names


def test_a_sentence_may_be_held_by_meaning() -> None:
    sentence = "Illumination devices were acquired cheaply abroad yesterday."
    assert [claim.kind for claim in check_claims(sentence, SOURCE, overlap=0.5).missing] == ["sentence"]
    assert check_claims(sentence, SOURCE, overlap=0.5, like=lambda told, text: told == sentence).missing == ()


@pytest.mark.parametrize(
    "answer",
    [
        "Would you like another kettle with different colours? No problem.",
        "Thank you very much for contacting customer service today. I'm happy to assist with whatever comes next.",
        "Please contact customer support whenever something else happens. If you have further questions, just write.",
    ],
)
def test_questions_courtesies_and_short_sentences_claim_nothing(answer: str) -> None:
    assert check_claims(answer, SOURCE, overlap=0.5).counts["sentence"] == 0


def test_only_some_kinds_may_be_asked_for() -> None:
    found = check_claims("Peter paid 25 euros in Bergen.", SOURCE, overlap=0.5, kinds=("number",))
    assert (found.counts, found.missing) == ({"number": 1}, (Claim("number", "25 euros"),))


@given(st.text(max_size=100))
def test_a_text_supports_itself(text: str) -> None:
    assert not [claim for claim in check_claims(text, Source.read([text]), overlap=0.5).missing if claim.kind != "name"]


def test_disagreement_is_the_share_of_samples_that_do_not_hold_a_claim() -> None:
    # Two claims, 12 and Oslo: the first sample holds both, the second one, the third none.
    samples = ["12 in Oslo", "12 in Bergen", "nothing"]
    assert disagreement("it was 12 in Oslo", samples, overlap=0.5) == pytest.approx((0 + 1 + 2) / 6)
    assert disagreement("thanks", samples, overlap=0.5) is None
    assert disagreement("it was 12", [], overlap=0.5) is None


def test_sentences_end_at_marks_before_capitals_and_at_lines() -> None:
    assert sentences('It is 3.5 km. "Then," he said. approx. three\n\n - Next!') == [
        "It is 3.5 km.",
        '"Then," he said. approx. three',
        "- Next!",
    ]
    assert sentences("   ") == []


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I'm sorry, but I can't assist with that.", True),
        ("I cannot help you with this request.", True),
        ("As an AI language model, I do not have opinions.", True),
        ("I’m not comfortable sharing that.", True),
        ("Unfortunately, I must decline.", True),
        ("This goes against my guidelines.", True),
        ("I can help you with that!", False),
        ("I'm sorry to hear that. Switch it off and on again.", False),
        ("Sorry, we are closed on Sundays.", False),
        ("declined_card_payment", False),
        ("You cannot open the lid while it is hot.", False),
        ("x" * 300 + " I cannot help you.", False),
        ("", False),
    ],
)
def test_refusals_are_known_by_their_words(answer: str, refuses: bool) -> None:
    assert is_refusal(answer) is refuses
