"""Clear slips are corrected; names, terms, code, other languages and unclear words stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError
from tunewright.data.clean import clean_frame
from tunewright.data.spelling import speller
from tunewright.data.steps.spelling import Config

WORDS = speller("", 10, 10)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("recieve", "receive"),
        ("definately", "definitely"),
        ("langauge", "language"),
        ("acommodation", "accommodation"),
        ("doesnt", "doesn't"),
        ("occured", "occurred"),
        ("tommorow", None),  # two errors in a short word
        ("recomendetion", "recommendation"),
        ("mony", None),  # money, many, mono
        ("chargeback", None),  # charge and back
        ("topup", None),
        ("thier", "their"),
        ("macarons", None),
        ("aluminum", None),
        ("usuallt", None),
        ("havnt", None),  # short, and not the same letters
        ("couldt", None),
        ("canceled", None),  # American
        ("neighborhood", None),
        ("separably", None),
        ("ruble", None),
        ("ahold", None),
        ("verifacation", "verification"),
        ("reprioritise", None),  # re and prioritise
        ("tokeniser", None),
        ("xyzzy", None),
    ],
)
def test_corrections(word: str, expected: str | None) -> None:
    assert WORDS.correction(word) == expected


def _corrected(*texts: str | None, **settings: object) -> list[str | None]:
    config = Config.model_validate({"columns": ["t"], "least_uses": 0, **settings})
    found: list[str | None] = clean_frame(frame_of(t=[*texts]), config).frame["t"].to_list()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("did you recieve my paymnet yet?", "did you receive my payment yet?"),
        ("it doesnt work with the new langauge", "it doesn't work with the new language"),
        ("she asked Recieve for the money", "she asked Recieve for the money"),
        ("Recieve is the name of the man", "Recieve is the name of the man"),
        ("see `recieve` at x.example/recieve or x_recieve", "see `recieve` at x.example/recieve or x_recieve"),
        ("send the recieve2 to RECIEVE and iRecieve", "send the recieve2 to RECIEVE and iRecieve"),
        ("bitte nicht recieve sondern überweisen", "bitte nicht recieve sondern überweisen"),
        ("colour and organisation, cancelled and travelling", "colour and organisation, cancelled and travelling"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert _corrected(text) == [expected]


def test_a_capital_at_the_beginning_is_no_name_if_the_word_also_stands_in_small_letters() -> None:
    texts = ("Recieved it today. Recieved it twice", "and we recieved the other one as well")
    assert _corrected(*texts) == ["Received it today. Received it twice", "and we received the other one as well"]


def test_words_that_many_rows_use_are_the_domains_own() -> None:
    texts = [f"please open the recieve of number {index}" for index in range(20)]
    assert _corrected(*texts) == texts
    assert _corrected(*texts[:19])[0] == "please open the receive of number 0"
    assert _corrected(*texts, own_word_share=1.0) == texts
    assert (
        _corrected(*texts, "and here is one more text", own_word_share=1.0)[0] == "please open the receive of number 0"
    )


def test_the_right_word_must_be_one_that_the_data_uses() -> None:
    texts = ("did you recieve it by now", "you will receive it", "I receive none", "Receive it")
    assert _corrected(*texts, least_uses=3)[0] == "did you receive it by now"
    assert _corrected(*texts[:3], least_uses=3)[0] == texts[0]


def test_the_glossary_and_own_words_are_kept(tmp_path: Path) -> None:
    glossary = tmp_path / "terms.yaml"
    glossary.write_text("Recieve Bank: [recieve-bank]\npaymnet: {variants: [], confirmed: false}\n")
    text = "did the recieve of my paymnet arrive there"
    assert _corrected(text, glossary=str(glossary)) == ["did the recieve of my payment arrive there"]
    assert _corrected(text, keep=["Recieve", "paymnet"]) == [text]


def test_another_dictionary(tmp_path: Path) -> None:
    dictionary = tmp_path / "de.txt"
    dictionary.write_text("die 900\nrechnung 500\nist 900\nnicht 800\nbezahlt 300\n")
    text = "die rechnug ist nicht bezahlt"
    assert _corrected(text, dictionary=str(dictionary)) == ["die rechnung ist nicht bezahlt"]


def test_a_dictionary_that_is_none_is_refused(tmp_path: Path) -> None:
    dictionary = tmp_path / "de.txt"
    dictionary.write_text("die 900\nrechnung\n")
    with pytest.raises(DataError, match=r"de.txt:2: a line of a dictionary"):
        _corrected("die rechnug", dictionary=str(dictionary))


def test_a_dictionary_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.txt: This dictionary cannot be read \(No such file"):
        _corrected("die rechnug", dictionary=str(tmp_path / "none.txt"))


def test_the_ledger_names_each_word() -> None:
    frame = frame_of(t=["did you recieve the paymnet or recieve it not", None, "bitte recieve nicht sofort"])
    result = clean_frame(frame, Config(columns=("t",), least_uses=0))
    assert result.edits["reason"].to_list() == ["spelling: recieve → receive, paymnet → payment"]
    assert result.findings == {"cells_changed": 1, "words_corrected": 3, "texts_left_alone": 1}
