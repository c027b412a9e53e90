"""pass@k: the estimator, the programs in answers, and what holds them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from tests.metrics.contract import measure
from tunewright.base.errors import DataError
from tunewright.base.plugins import METRICS
from tunewright.metrics import Answer
from tunewright.metrics.pass_at_k import code_of, estimate

TESTS = {"test": "assert double(2) == 4", "head": "def double(x):"}


def test_the_estimator_is_the_share_of_draws_with_a_pass() -> None:
    for n, right, k in itertools.product(range(1, 7), range(7), range(1, 7)):
        if right <= n and k <= n:
            draws = list(itertools.combinations([True] * right + [False] * (n - right), k))
            assert estimate(n, right, k) == pytest.approx(np.mean([any(draw) for draw in draws]))


def test_programs_run_with_their_tests() -> None:
    answers = [
        Answer("1", "", "def double(x): return 2 * x", samples=("def double(x): return x", "?"), columns=TESTS),
        Answer("2", "", "No idea", samples=("", "import sys; sys.exit(0)"), columns=TESTS),
    ]
    found = measure("pass_at_k", answers, runs_code=True, k=[1, 3])
    assert [one.value for one in found.values()] == pytest.approx([1 / 6, 1 / 2])
    assert list(found) == ["pass_at_1", "pass_at_3"]
    assert found["pass_at_1"].note in ("network kept away by namespace", "network kept away by hooks")
    begun = measure("pass_at_k", [Answer("1", "", "    return x + x", columns=TESTS)], runs_code=True, before="head")
    assert begun["pass_at_1"].value == 1.0


def test_the_last_block_of_python_is_the_program() -> None:
    assert code_of("x = 1") == "x = 1"
    assert code_of("Try\n```\nx = 1\n```\nor\n```python\nx = 2\n```\nas\n```sh\nls\n```") == "x = 2\n"
    assert code_of("````\n```\n````") == "```\n"


def test_nothing_is_run_unless_the_recipe_says_so() -> None:
    with pytest.raises(ValidationError, match="runs_code to true"):
        METRICS.config("pass_at_k")()


def test_rows_without_tests_or_with_too_few_answers_are_named() -> None:
    with pytest.raises(DataError, match="without a column 'test': r1"):
        measure("pass_at_k", [Answer("r1", "", "x")], runs_code=True)
    with pytest.raises(DataError, match=r"pass@2 needs.*r1"):
        measure("pass_at_k", [Answer("r1", "", "x", columns=TESTS)], runs_code=True, k=[2])
