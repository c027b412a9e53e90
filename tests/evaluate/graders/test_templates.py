"""Places in texts: found, filled, and named where they lead nowhere."""

from __future__ import annotations

import pytest

from tests.evaluate.graders.made import LOOK
from tunewright.base.errors import InputError
from tunewright.evaluate.graders import GradingError, Look, fill_messages, find, sample_of
from tunewright.evaluate.graders._templates import check_namespaces, fill


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no place", "no place"),
        ("{{item.question}} {{ sample.output_text }}!", "Where? It is in Paris!"),
        ("{{item.answers[1]}} {{item.answers.0}}", "in Paris Paris"),
        ("{{item.n}} {{item.answers}}", '3 ["Paris", "in Paris"]'),
        ("{{sample.choices[0].message.content}}", "It is in Paris"),
        ("{ {item.n}} {{}} {{ }} {{item.n", "{ {item.n}} {{}} {{ }} {{item.n"),
        ("{{" + " a" * 100_000, "{{" + " a" * 100_000),
    ],
)
def test_places_are_filled(text: str, filled: str) -> None:
    assert fill(text, LOOK) == filled


def test_what_is_filled_in_is_no_template() -> None:
    assert fill("{{item.a}}", Look({"a": "{{item.b}}"})) == "{{item.b}}"


def test_json_answers_have_fields() -> None:
    look = Look({}, sample_of('{"total": {"sum": 3.5, "currency": "€"}}'))
    assert fill("{{sample.output_json.total.sum}} {{sample.output_json.total}}", look) == (
        '3.5 {"sum": 3.5, "currency": "€"}'
    )


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("item.name", "invalid_variable_error", "There is no 'item.name', which '{{item.name}}' asks for"),
        ("item.name", "invalid_variable_error", "there is answers, n, question"),
        ("item.answers[2]", "invalid_variable_error", "There is no 'item.answers.2'"),
        ("item.question.deeper", "invalid_variable_error", "There is no 'item.question.deeper'"),
        ("sample.output_json.x", "sample_parse_error", "The answer is no JSON"),
    ],
)
def test_what_is_missing_is_named(path: str, kind: str, said: str) -> None:
    with pytest.raises(GradingError) as caught:
        find(path, LOOK)
    assert caught.value.kind == kind
    assert said in str(caught.value)


def test_without_an_answer_there_is_no_sample() -> None:
    with pytest.raises(GradingError, match="There is no 'sample'"):
        fill("{{sample.output_text}}", Look({}))


def test_messages_keep_their_roles() -> None:
    messages = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "{{item.question}}"}]
    assert fill_messages(messages, LOOK) == [messages[0], {"role": "user", "content": "Where?"}]


def test_other_namespaces_are_refused() -> None:
    check_namespaces(["{{item}} {{item[0]}} {{ sample.output_text }}"], where="grader")
    with pytest.raises(InputError, match="items"):
        check_namespaces(["{{items.a}}"], where="grader")
