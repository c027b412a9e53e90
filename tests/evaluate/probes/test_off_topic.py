"""Answers that have nothing to do with their question, by a tiny encoder whose cosines are computed beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.made import example
from tests.evaluate.probes.asking import answered, asking
from tests.tiny_encoder import WORDS, encoder_folder
from tunewright.base.errors import ModelError
from tunewright.base.events import Event, Message
from tunewright.data.meaning.embedding import Embedder
from tunewright.evaluate.probes.off_topic import Config, probe

ROWS = [example(row, f"the {word} is in rome", f"{word} {WORDS[row - 1]}") for row, word in enumerate(WORDS)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_folder(tmp_path_factory.mktemp("models") / "encoder")


def test_right_answers_are_on_the_topic_and_empty_ones_are_not(encoder: Path, tmp_path: Path) -> None:
    right = [row.answer for row in ROWS]
    answers = {"tuned": answered("tuned", ROWS, ["", *right[1:]]), "base": answered("base", ROWS, right)}
    (found,) = probe(Config(encoder=str(encoder)), asking(ROWS, answers=answers, cache=tmp_path))
    assert (found.name, found.n, found.base) == ("off_topic", len(ROWS), 0.0)
    assert found.value == pytest.approx(1 / len(ROWS))
    assert found.details["empty answers"] == 1
    assert [line["row"] for line in found.details["furthest"]] == ["row0"]


def test_an_answer_counts_by_its_nearest_of_question_and_right_answer(encoder: Path, tmp_path: Path) -> None:
    said = ["ann visits bob today ."] * len(ROWS)
    answers = {"tuned": answered("tuned", ROWS, said)}
    (found,) = probe(Config(encoder=str(encoder)), asking(ROWS, answers=answers, cache=tmp_path))
    embedder = Embedder.open(str(encoder), tmp_path)
    question, right, answer = (
        embedder.embed(texts) for texts in ([row.messages[1].content for row in ROWS], [r.answer for r in ROWS], said)
    )
    near = np.maximum((answer * question).sum(1), (answer * right).sum(1))
    assert found.value == pytest.approx(float((near <= found.details["bar (cosine)"]).mean()))
    assert found.details["median cosine"] == pytest.approx(float(np.median(near)))


def test_few_rows_are_no_pass(encoder: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    rows = [example(row, "the lamp", "red") for row in range(20)]  # one right answer: nothing to shuffle
    given = asking(rows, answers={"tuned": answered("tuned", rows, ["red"] * 20)}, cache=tmp_path, heard=heard)
    assert probe(Config(encoder=str(encoder)), given) == []
    assert any(isinstance(event, Message) and "nothing was measured" in event.text for event in heard)


def test_without_an_encoder_it_says_how_to_get_one(tmp_path: Path) -> None:
    given = asking(ROWS, answers={"tuned": answered("tuned", ROWS, ["x"] * len(ROWS))}, cache=tmp_path)
    with pytest.raises(ModelError, match="tunewright models pull"):
        probe(Config(), given)
