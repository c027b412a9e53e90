"""The cheap baseline: what it predicts, and what it says it cannot."""

from __future__ import annotations

import json

import pytest

from tests.evaluate.made import example, labelled, recorded
from tunewright.base.errors import DataError, InputError
from tunewright.base.events import Event, Stage
from tunewright.evaluate.bag_of_words import bag_of_words


def test_labels_told_by_their_words_are_learned() -> None:
    test = labelled(40, seed=2)
    found = bag_of_words(labelled(120, seed=1), test, answer_kind="label", seed=0)
    assert [answer.id for answer in found.answers] == [one.id for one in test]
    assert all(answer.prediction == answer.reference for answer in found.answers)
    assert (found.system, found.cut, found.not_covered) == ("bag_of_words", 0, ())


def test_of_records_it_answers_the_fields_with_few_values() -> None:
    found = bag_of_words(recorded(120, seed=1), recorded(40, seed=2), answer_kind="json", seed=0)
    assert found.not_covered == ("order",)
    for answer in found.answers:
        record, reference = json.loads(answer.prediction), json.loads(answer.reference)
        assert record == {"intent": reference["intent"], "urgent": reference["urgent"]}


def test_equal_seeds_give_equal_answers() -> None:
    train, test = labelled(60, seed=1), [example(row, f"some {row} unseen words", "refund") for row in range(30)]
    first = bag_of_words(train, test, answer_kind="label", seed=7)
    assert first.answers == bag_of_words(train, test, answer_kind="label", seed=7).answers


def test_the_system_message_and_the_answer_are_not_read() -> None:
    train = labelled(60, seed=1)
    quiet = [example(row, "", "delivery", system="refund refund") for row in range(3)]
    blind = bag_of_words(train, quiet, answer_kind="label", seed=0)
    assert len({answer.prediction for answer in blind.answers}) == 1


def test_one_label_alone_is_always_the_answer() -> None:
    train = [example(row, "anything", "same") for row in range(4)]
    found = bag_of_words(train, [example("t", "else", "other")], answer_kind="label", seed=0)
    assert found.answers[0].prediction == "same"


def test_a_field_that_is_missing_in_training_may_be_missing_in_answers() -> None:
    train = [example(row, "plain words", '{"a": 1}') for row in range(6)]
    train += [example(10 + row, "special case", '{"a": 1, "b": "x"}') for row in range(6)]
    test = [example("t1", "plain words", '{"a": 1}'), example("t2", "special case", '{"a": 1, "b": "x", "c": 2}')]
    found = bag_of_words(train, test, answer_kind="json", seed=0)
    assert [json.loads(answer.prediction) for answer in found.answers] == [{"a": 1}, {"a": 1, "b": "x"}]
    assert found.not_covered == ("c",)


def test_records_of_free_text_alone_are_not_covered_at_all() -> None:
    train = [example(row, f"q {row}", json.dumps({"order": row})) for row in range(5)]
    found = bag_of_words(train, train[:2], answer_kind="json", seed=0)
    assert found.not_covered == ("order",)
    assert [answer.prediction for answer in found.answers] == ["{}", "{}"]


@pytest.mark.parametrize("question", ["?", "日本語", "☕", "x", "   "])
def test_any_question_gets_an_answer(question: str) -> None:
    found = bag_of_words(labelled(30, seed=1), [example("t", question, "refund")], answer_kind="label", seed=0)
    assert found.answers[0].prediction in ("refund", "delivery", "login")


def test_it_tells_how_far_it_is() -> None:
    heard: list[Event] = []
    bag_of_words(recorded(30, seed=1), recorded(5, seed=2), answer_kind="json", seed=0, listener=heard.append)
    assert heard[-1] == Stage("bag_of_words", "progress", 2, 2, "classifiers")


def test_what_it_cannot_do_is_an_error() -> None:
    some = labelled(5, seed=1)
    with pytest.raises(InputError, match=r"kind 'text'.*evaluate\.systems"):
        bag_of_words(some, some, answer_kind="text", seed=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 rows to learn from"):
        bag_of_words([], some, answer_kind="label", seed=0)
    with pytest.raises(InputError, match="messages are empty"):
        bag_of_words([example(1, " ", "a"), example(2, "", "b")], some, answer_kind="label", seed=0)
    with pytest.raises(DataError, match="row1-0"):
        bag_of_words(some, some, answer_kind="json", seed=0)
