"""Metrics over pieces of answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tunewright.base.errors import InputError, UnknownNameError
from tunewright.base.plugins import METRICS
from tunewright.metrics import Answer, configs_of, measure_pieces
from tunewright.metrics._pieces import Observed, join_observed

CONFIGS = [METRICS.config(name)() for name in ("accuracy", "macro_f1")]


def _pieces(n: int, at_once: int) -> Iterator[list[Answer]]:
    for start in range(0, n, at_once):
        yield [Answer(str(row), "abc"[row % 3], "abx"[row * 7 % 3]) for row in range(start, min(n, start + at_once))]


def test_two_processes_find_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.metrics._pieces._ALONE", 100)
    heard: list[int] = []
    one = measure_pieces(_pieces(1000, 1000), CONFIGS)
    two = measure_pieces(_pieces(1000, 90), CONFIGS, processes=2, heard=heard.append)
    assert list(one) == list(two) == ["accuracy", "macro_f1"]
    for name in one:
        assert two[name].value == one[name].value
        np.testing.assert_array_equal(two[name].values, one[name].values)
    assert heard == [*range(90, 1000, 90), 1000]


def test_labels_of_a_later_piece_are_labels_in_an_earlier_one() -> None:
    # "b" is given before it is known to be a label: a counts 1 of 2, b 1 right of 2 given and 1 wanted.
    pieces = [[Answer("1", "a", "b"), Answer("2", "a", "a")], [Answer("3", "b", "b")]]
    found = measure_pieces(pieces, [METRICS.config("macro_f1")()])["macro_f1"]
    assert found.value == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_fields_of_a_later_piece_count_in_an_earlier_one() -> None:
    pieces = [
        [
            Answer("1", '{"a": 1}', '{"a": 1}'),
            Answer("2", '{"a": 1}', '{"a": 1, "b": 2}'),
            Answer("3", '{"a": 1}', "?"),
        ],
        [Answer("4", '{"b": 2}', '{"b": 2, "c": 0}')],
    ]
    found = measure_pieces(pieces, [METRICS.config("field_accuracy")()])
    assert {name: measure.values.tolist() for name, measure in found.items()} == {
        "a_accuracy": [1, 1, 0, 1],
        "b_accuracy": [1, 0, 0, 1],
    }


def test_likelihoods_that_only_some_pieces_have_are_refused() -> None:
    pieces = [[Answer("1", "a", "a", nats=1.0, tokens=1)], [Answer("2", "a", "a")]]
    with pytest.raises(InputError, match="perplexity: Only some of the answers"):
        measure_pieces(pieces, [METRICS.config("perplexity")()])


def test_no_answers_and_names_taken_twice_are_refused() -> None:
    with pytest.raises(InputError, match="no answers"):
        measure_pieces([[], []], CONFIGS)
    with pytest.raises(InputError, match="Two metrics are called 'accuracy'"):
        measure_pieces(_pieces(3, 3), [CONFIGS[0], CONFIGS[0]])


def test_an_array_that_a_piece_lacks_is_zero_in_it() -> None:
    joined = join_observed(
        [Observed(2, {"x": np.array([1, 2])}, {1: "one"}), Observed(1, {"y": np.array([[3, 4]])}, {2: "two"})]
    )
    assert joined.n == 3
    assert joined.arrays["x"].tolist() == [1, 2, 0]
    assert joined.arrays["y"].tolist() == [[0, 0], [0, 0], [3, 4]]
    assert joined.names == {1: "one", 2: "two"}


def test_memory_does_not_grow_with_the_texts() -> None:
    import tracemalloc

    text = "x" * 10_000
    pieces = (
        [Answer(str(row), "a", text + str(row)) for row in range(start, start + 100)] for start in range(0, 3000, 100)
    )
    tracemalloc.start()
    measure_pieces(pieces, CONFIGS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 10_000 / 5  # the texts together are 30 MB


def test_metrics_by_name() -> None:
    assert configs_of(["accuracy", "accuracy", "bleu"]) == [METRICS.config("accuracy")(), METRICS.config("bleu")()]
    with pytest.raises(UnknownNameError, match="Did you mean 'bleu'"):
        configs_of(["blue"])
    with pytest.raises(InputError, match=r"cost: cost needs a price.*evaluate\.metrics"):
        configs_of(["cost"])
