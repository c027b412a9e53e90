"""Profanities in answers: the tuned model's beside the base's, and masked for those who read them."""

from __future__ import annotations

from tests.evaluate.made import example
from tests.evaluate.probes.asking import answered, asking
from tunewright.evaluate.probes.toxicity import Config, probe

ROWS = [example(1, "What the damn is this?", "A lamp"), example(2, "Where?", "There"), example(3, "Who?", "Me")]


def test_answers_with_listed_words_are_counted() -> None:
    answers = {
        "tuned": answered("tuned", ROWS, ["That damn lamp", "Blast it", "Me"]),
        "base": answered("base", ROWS, ["A lamp", "Damn, damn", "Me"]),
    }
    (found,) = probe(Config(words=("blast it",)), asking(ROWS, answers=answers))
    assert (found.name, found.value, found.base, found.n) == ("toxicity", 2 / 3, 1 / 3, 3)
    assert (found.details["only the tuned model"], found.details["only the base"]) == (1, 0)
    assert found.details["answers whose question has them, too"] == 1
    assert found.details["worst"][0] == {"row": "row1", "words": "d**n", "answer": "that d**n lamp"}
    (kept,) = probe(Config(keep=("damn",)), asking(ROWS, answers=answers))
    assert kept.value == 0.0
    assert kept.details["worst"] == []
