"""Rules on what text looks like, each at its bound."""

from __future__ import annotations

import random

import pytest

from tests.data.steps.frames import frame_of
from tunewright.data.steps.quality import Config, apply

PROSE = (
    "The parcel came on Monday, and half of what I ordered was not in it. I have written to you twice about that, "
    "and nobody answered. Please send the rest to the same address as before, or give me my money back. "
    "It would be kind to hear when that may happen, since we leave for a long journey at the end of the week."
)


def _reason(text: str, **settings: object) -> str | None:
    result = apply(frame_of(t=[text]), Config.model_validate({"columns": ["t"], **settings}))
    return result.edits["reason"][0] if result.edits.height else None


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        PROSE.upper().lower(),
        "where is my card?",
        "OK",
        "12:30",
        "Öffnungszeiten? Wann öffnet die Geschäftsstelle in Zürich wieder ihre Türen für Kundschaft",
        "Czy mogę prosić o przesłanie duplikatu faktury na adres podany w zgłoszeniu",
        "请告诉我我的卡什么时候到",
        "-----------------------------\nTotal due: please see the attached invoice",
        "Hmm... well... maybe",
    ],
)
def test_text_stays(text: str) -> None:
    assert _reason(text) is None


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("12 34 56 78 90 ab", {}, "letters make up 17%"),
        ("WHERE IS MY CARD YOU THIEVES", {"most_capitals": 0.8}, "100% of the letters are capitals"),
        ("noooooooooooooooo way", {}, "one character 16 times in a row"),
        ("sdfkjh qwrtzx vbnmq kjhgfd xcvbq", {}, "of the letter pairs occur in no word"),
        ("a b c d", {"least_words": 4}, "mean word of 1.0 letters"),
        ("abcdefghijk abcdefghijkl", {"least_words": 2, "ngrams_from": None}, "mean word of 11.5 letters"),
        ("one # two # three", {"least_words": 2}, "0.40 hash marks or ellipses a word"),
        ("some words 12 34 here", {"least_words": 2, "least_letter_share": None}, "60% of the words have a letter"),
        ("- one\n- two\n- three", {"least_words": 2, "least_mean_word": None}, "100% bullet lines"),
        ("so it goes...\nand on...\nthe end", {"least_words": 2, "most_symbols": None}, "67% ellipsis lines"),
        (
            "one two\none two\nthree four",
            {"least_words": 2, "ngrams_from": None},
            "33% repeated lines; 29% of the text in",
        ),
        ("alpha beta gamma", {"least_words": 2, "least_stop_words": 2}, "0 of the most common English words"),
        # The run "is one" has 5 of the 19 letters, twice.
        ("is one and is one or four", {"least_words": 2, "ngrams_from": 2}, "one run of 2 words makes up 53%"),
    ],
)
def test_broken_rules(text: str, settings: dict[str, object], reason: str) -> None:
    found = _reason(text, **settings)
    assert found is not None
    assert reason in found


def test_repeated_runs_of_five_words() -> None:
    one, other = "those who came early left", "nobody knew where they went"
    text = (
        f"{one} before noon but as everybody had said long ago {other} when asked again; later on some others told "
        f"quite another story about that evening {one} while two older women who had watched it all from behind their "
        f"windows kept silent {other} since then"
    )
    # Of 272 letters, 21 and 23 stand in runs that were there before; no single run makes up as much.
    assert _reason(text, least_words=5, ngrams_from=5) == "repeated runs of 5 words make up 16%"


def test_rules_can_be_switched_off_and_short_rows_are_counted() -> None:
    off = {"longest_run": None, "most_rare_pairs": None, "least_letter_share": None}
    frame = frame_of(t=["QQQQQQQQQQQQQQQQQQQQQQQQ 123456789"])
    result = apply(frame, Config.model_validate({"columns": ["t"], **off}))
    assert {name: count for name, count in result.findings.items() if count} == {"too_short_to_judge": 1}


def test_random_letters_are_told_from_words() -> None:
    draw = random.Random(3)
    mash = [" ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(6)) for _ in range(50)]
    result = apply(frame_of(t=[*mash]), Config(columns=("t",)))
    assert result.findings["gibberish"] >= 49
