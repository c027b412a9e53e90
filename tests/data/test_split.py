"""Holding out: clusters whole, labels in proportion, the same rows in any order."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.data.split import HOMES, apportion, check_test_rows, spare_minorities, split_rows, wanted_rows
from tunewright.recipe.schema import Split


def _split(keys: list[str], strata: list[str] | None = None, seed: int = 1, **settings: float) -> list[str]:
    chosen = Split.model_validate({"test": 0, "validation": 0, **settings})
    names = sorted(set(strata or []))
    groups = np.array([names.index(name) for name in strata] if strata else [0] * len(keys), dtype=np.int32)
    homes = split_rows(np.array(keys, dtype=np.bytes_), groups, chosen, parts=["test", "validation"], seed=seed)
    return [HOMES[home] for home in homes]


def test_counts_and_shares() -> None:
    assert (wanted_rows(0.25, 10), wanted_rows(3, 10), wanted_rows(0, 10), wanted_rows(1, 10)) == (2, 3, 0, 1)
    homes = _split([str(index) for index in range(100)], test=20, validation=0.1)
    assert Counter(homes) == {"train": 70, "test": 20, "validation": 10}


def test_labels_keep_their_shares_to_the_row() -> None:
    strata = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    homes = _split([str(index) for index in range(100)], strata, test=0.1, validation=0.2)
    found = Counter(zip(strata, homes, strict=True))
    assert [found[name, "test"] for name in "abc"] == [6, 3, 1]
    assert [found[name, "validation"] for name in "abc"] == [12, 6, 2]


def test_a_label_with_one_text_stays_in_train() -> None:
    homes = _split([str(index) for index in range(40)], ["rare"] + ["common"] * 39, test=0.5, validation=0)
    assert homes[0] == "train"
    assert homes.count("test") == 20


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=4, max_size=60), st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_clusters_stay_whole_and_the_order_does_not_matter(rows: list[tuple[int, str]], seed: int) -> None:
    keys, strata = [str(key) for key, _ in rows], [name for _, name in rows]
    homes = _split(keys, strata, seed, test=0.3, validation=0.2)
    home_of = dict(zip(keys, homes, strict=True))
    assert homes == [home_of[key] for key in keys]
    assert homes.count("test") <= round(0.3 * len(rows))
    assert homes.count("validation") <= round(0.2 * len(rows))
    shuffled = list(range(len(rows)))
    random.Random(seed).shuffle(shuffled)
    again = _split([keys[i] for i in shuffled], [strata[i] for i in shuffled], seed, test=0.3, validation=0.2)
    assert again == [homes[i] for i in shuffled]


def test_another_seed_holds_out_other_rows() -> None:
    keys = [str(index) for index in range(100)]
    assert _split(keys, seed=1, test=50) != _split(keys, seed=2, test=50)


def test_nothing_left_to_train_on() -> None:
    with pytest.raises(DataError, match="10 usable rows, and the split takes 8 rows for test and 2 rows"):
        _split([str(index) for index in range(10)], test=8, validation=2)


@pytest.mark.parametrize(
    ("rows", "total", "given_files", "hint"),
    [
        (100, 1000, False, r"Set data\.split\.test to 200"),
        (30, 300, False, "few rows"),
        (150, 9000, True, "Bring more test rows"),
    ],
)
def test_too_few_test_rows(rows: int, total: int, given_files: bool, hint: str) -> None:
    with pytest.raises(DataError, match=hint) as caught:
        check_test_rows(rows, total, Split(), given=given_files)
    assert f"{rows} test rows" in str(caught.value)
    check_test_rows(200, total, Split(), given=given_files)


def test_apportion_by_largest_remainder() -> None:
    # 7 seats over 53, 24, 23: exact 3.71, 1.68, 1.61; the two left over go to the largest remainders.
    assert apportion(7, {"a": 53, "b": 24, "c": 23}) == {"a": 4, "b": 2, "c": 1}


@given(st.integers(2, 6), st.integers(0, 20), st.integers(3, 8))
@settings(deadline=None, max_examples=50)
def test_a_label_of_three_texts_or_more_is_in_every_part(labels: int, seed: int, fewest: int) -> None:
    strata = [f"rare {n}" for n in range(labels) for _ in range(fewest)] + ["often"] * 300
    keys = [str(row) for row in range(len(strata))]
    homes = _split(keys, strata, seed, test=0.05, validation=0.03)
    total = len(strata)
    assert (homes.count("test"), homes.count("validation")) == (round(0.05 * total), round(0.03 * total))
    for label in set(strata):
        assert {home for home, own in zip(homes, strata, strict=True) if own == label} == set(HOMES)


def test_a_label_of_two_texts_is_learned_and_watched() -> None:
    strata = ["rare"] * 2 + ["often"] * 198
    homes = _split([str(row) for row in range(200)], strata, test=0.3, validation=0.1)
    assert sorted(homes[:2]) == ["train", "validation"]


def test_minorities_get_their_place_from_those_that_have_most() -> None:
    # Group 2 lacks 1 and group 3 lacks 2; group 0 can spare 5, group 1 one row.
    assert spare_minorities({0: 6, 1: 2, 2: 0, 3: 0}, {0: 1, 1: 1, 2: 1, 3: 2}) == {0: 3, 1: 2, 2: 1, 3: 2}
    # There is one row to spare, so the first of the two that lack it gets it.
    assert spare_minorities({0: 2, 1: 0, 2: 0}, {0: 1, 1: 1, 2: 1}) == {0: 1, 1: 1, 2: 0}
    assert spare_minorities({0: 3}, {}) == {0: 3}
