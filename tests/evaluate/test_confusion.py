"""Which labels are taken for which."""

from __future__ import annotations

from tunewright.evaluate.confusion import field_confusions, has_few_values, label_confusion
from tunewright.metrics import Answer


def _answers(pairs: list[tuple[str, str]]) -> list[Answer]:
    return [Answer(str(row), *pair) for row, pair in enumerate(pairs)]


def test_rows_are_right_labels_and_columns_given_ones() -> None:
    found = label_confusion(_answers([("b", "b"), ("b", "a "), ("a", "a"), ("b", "b")]))
    assert found.as_json() == {"labels": ["a", "b"], "counts": [[1, 0], [1, 2]]}


def test_answers_that_are_no_label_stand_in_one_column() -> None:
    found = label_confusion(_answers([("a", "words"), ("a", ""), ("b", "b")]))
    assert found.as_json() == {"labels": ["a", "b", "(other)"], "counts": [[0, 0, 2], [0, 1, 0], [0, 0, 0]]}


def test_a_label_of_that_name_is_kept_apart() -> None:
    found = label_confusion(_answers([("(other)", "(other)"), ("(other)", "words")]))
    assert found.as_json() == {"labels": ["(other)", "((other))"], "counts": [[1, 1], [0, 0]]}


def test_fields_with_few_values_have_one_each() -> None:
    answers = _answers(
        [
            ('{"kind": "x", "order": 1}', '{"kind": null, "order": 1}'),
            ('{"kind": null, "order": 2}', '{"kind": null}'),
            ('{"kind": "null", "order": 3}', "broken"),
            ('{"kind": "x", "order": 4}', '{"kind": "(other)"}'),
            ('{"order": 5}', '{"order": 5}'),
            ('{"kind": "x", "order": 6}', '{"kind": "x"}'),
            ('{"kind": "x", "order": 7}', '{"order": 7}'),
            ('{"kind": "x", "order": 8}', '{"kind": "x"}'),
        ]
    )
    found = field_confusions(answers)
    assert list(found) == ["kind"]
    assert found["kind"].as_json() == {
        "labels": ['"null"', "(absent)", "null", "x", "(other)"],
        "counts": [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 2, 1], [0, 0, 0, 0, 0]],
    }
    assert field_confusions(answers, ["kind"]) == {}


def test_few_values_are_at_most_fifty_and_met_twice() -> None:
    assert has_few_values(["a", "a"])
    assert not has_few_values(["a", "b", "b"])
    assert has_few_values([str(n % 50) for n in range(200)])
    assert not has_few_values([str(n % 51) for n in range(200)])
