"""Length, diversity, language, boilerplate, toxicity and personal data: what texts show."""

from __future__ import annotations

import zlib

import pytest

from tests.data.quality.made import texts_only, view_of
from tunewright.data.inspections import boilerplate, diversity, language, length, personal, toxicity


def test_lengths_and_what_lies_far_from_them() -> None:
    words = ["word " * (4 + n % 3) for n in range(60)]
    found = length.inspect(view_of([(text, "x") for text in [*words, "word " * 500, "a"]]), length.Config())
    assert found.numbers["prompt_words"] == {"min": 1, "p5": 4, "p50": 5, "p95": 6, "p99": 6, "max": 500}
    assert found.numbers["outliers"] == {"rows": 2, "short": 1, "long": 1}
    assert found.worst[0].place == "data.csv:62"
    assert found.worst[0].why == "2,500 characters, longer"
    assert found.worst[1].why == "1 character, shorter"
    assert found.verdict == "look"


def test_free_answers_have_lengths_too() -> None:
    rows = [(f"question {n}", "an answer of some words") for n in range(5)]
    assert length.inspect(view_of(rows, kind="text"), length.Config()).numbers["answer_words"]["p50"] == 5
    assert "answer_words" not in length.inspect(view_of(rows, kind="label"), length.Config()).numbers


def test_the_type_token_ratio_slides() -> None:
    # Windows of 3 in "a b a c": (a b a), (b a c): 2 and 3 different words.
    assert diversity.type_token_ratio(["a", "b", "a", "c"], window=3) == pytest.approx((2 + 3) / 2 / 3)


def test_repetition_packs_better() -> None:
    same = ["the same few words over and over again"] * 200
    found = diversity.inspect(texts_only(same), diversity.Config())
    assert found is not None
    whole = "\n".join(same).encode()
    assert found.value == len(whole) / len(zlib.compress(whole, 9))
    assert found.verdict == "act"
    assert found.numbers["distinct_1"] == 7 / 1600  # "over" twice in each
    assert found.numbers["openings"] == {"the same few": 200}
    assert found.worst[0].why == "200 texts begin like it"


def test_too_few_words_tell_nothing_of_diversity() -> None:
    assert diversity.inspect(texts_only(["a few words only"]), diversity.Config()) is None


def test_languages_are_told_apart_and_short_texts_left_out() -> None:
    english = "I would like to know when my new card is going to arrive at home"
    german = "Ich möchte gerne wissen, wann meine neue Karte bei mir zu Hause ankommt"
    found = language.inspect(texts_only([*[english] * 9, german, "Hallo"]), language.Config())
    assert found is not None
    assert found.numbers["languages"] == {"en": 9, "de": 1}
    assert found.numbers["too_short"] == 1
    assert found.value == 0.9
    assert found.verdict == "look"
    assert found.worst[0].text == german


def test_a_sentence_of_many_texts_is_boilerplate_and_a_whole_text_is_not() -> None:
    signed = [f"My parcel number {n} is late.\nSent from my phone today" for n in range(6)]
    found = boilerplate.inspect(texts_only([*signed, *["A whole text that comes again."] * 9]), boilerplate.Config())
    assert found is not None
    assert found.numbers["sentences"] == [{"text": "Sent from my phone today", "rows": 6}]
    assert found.numbers["repeated_rows"] == 6
    assert found.value == 6 / 15
    assert found.verdict == "act"


@pytest.mark.parametrize(
    ("text", "is_marked"),
    [
        ("<p>hello</p>", True),
        ("a &amp; b", True),
        ("&#8217;", True),
        ("a < b > c", False),
        ("R&D; fine", False),
        ("x <3", False),
    ],
)
def test_markup(text: str, is_marked: bool) -> None:
    found = boilerplate.inspect(texts_only([text]), boilerplate.Config())
    assert found is not None
    assert found.numbers["markup_rows"] == int(is_marked)


def test_words_of_the_list_in_questions_and_answers() -> None:
    rows = [("this DAMN card", "a"), ("a calm question", "damn it"), ("nothing here", "a"), ("Hell, a god of sex", "a")]
    found = toxicity.inspect(view_of(rows, kind="text"), toxicity.Config())
    assert found.numbers["words"] == {"damn": 2}
    assert found.numbers["in_answers"] == 1
    assert found.value == 0.5
    assert found.verdict == "act"
    assert [case.why for case in found.worst] == ["d**n", "d**n"]
    assert found.worst[0].text == "a calm question → damn it"


def test_the_list_may_be_changed() -> None:
    rows = [("this damn card", "a"), ("a bloody awful card", "b")]
    found = toxicity.inspect(view_of(rows, kind="label"), toxicity.Config(words=("Bloody awful",), keep=("damn",)))
    assert found.numbers["words"] == {"bloody awful": 1}


def test_groups_of_people_are_no_abuse() -> None:
    found = toxicity.inspect(texts_only(["I am gay", "a lesbian couple", "queer people"]), toxicity.Config())
    assert found.value == 0


def test_personal_data_is_counted_by_kind_and_shown_redacted() -> None:
    rows = [("Mail jane@example.org or joe@example.com", "a"), ("nothing", "b"), ("card 4111 1111 1111 1111", "a")]
    found = personal.inspect(view_of(rows, kind="label"), personal.Config())
    assert found.numbers["places"] == {"email": 2, "card": 1}
    assert found.numbers["rows"] == 2
    assert found.value == pytest.approx(2 / 3)
    assert found.worst[0].text == "Mail [EMAIL] or [EMAIL] → a"
    assert "jane" not in str(found.as_json())
