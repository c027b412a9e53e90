"""How often an epoch sees each row, and what it weighs: by hand, and over whole runs."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from tunewright.base.errors import DataError
from tunewright.data.balance import Draws, balance_of, balanced_weights, class_targets, drawn_rows
from tunewright.data.dataset import Dataset
from tunewright.data.prepare import prepare
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.recipe.balance import Balance
from tunewright.recipe.schema import Data
from tunewright.store import Workspace

SIXTY = {(0, "a"): 60, (0, "b"): 30, (0, "c"): 10}


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ({}, (60, 30, 10)),
        ({"sampling": "over"}, (60, 60, 60)),
        ({"sampling": "over", "ratio": 0.4}, (60, 30, 24)),
        ({"sampling": "under"}, (10, 10, 10)),
        ({"sampling": "under", "ratio": 0.5}, (20, 20, 10)),
        ({"sampling": "over", "temperature": 1}, (60, 30, 10)),
        # 60 * sqrt(30 / 60) = 42.4 and 60 * sqrt(10 / 60) = 24.5; 10 * sqrt(60 / 10) = 24.5, 10 * sqrt(3) = 17.3
        ({"sampling": "over", "temperature": 2}, (60, 42, 24)),
        ({"sampling": "under", "temperature": 2}, (24, 17, 10)),
    ],
)
def test_classes_are_drawn_as_asked(asked: dict[str, Any], drawn: tuple[int, ...]) -> None:
    assert tuple(drawn_rows(SIXTY, Balance(**asked), Data(train="x")).values()) == drawn  # type: ignore[arg-type]


def test_sources_are_mixed_by_weight_and_temperature() -> None:
    counts = {(0, ""): 900, (1, ""): 50}
    data = Data.model_validate({"train": ["x", {"path": "y", "weight": 2}]})
    assert drawn_rows(counts, Balance(), data) == {(0, ""): 900, (1, ""): 100}
    # Sizes 900 and 100 with their weights; the square roots 30 and 10 share out the same 1,000 rows.
    warm = data.model_copy(update={"mix": data.mix.model_copy(update={"temperature": 2.0})})
    assert drawn_rows(counts, Balance(), warm) == {(0, ""): 750, (1, ""): 250}


def test_classes_are_evened_out_after_sources_are_weighed() -> None:
    counts = {(0, "a"): 40, (0, "b"): 10, (1, "a"): 5, (1, "b"): 5}
    data = Data.model_validate({"train": ["x", {"path": "y", "weight": 4}]})
    # Weighed: a 40 + 20 = 60, b 10 + 20 = 30; b is to be 60, so that its rows are seen twice as often again.
    assert drawn_rows(counts, Balance(sampling="over"), data) == {
        (0, "a"): 40, (0, "b"): 20, (1, "a"): 20, (1, "b"): 40,
    }  # fmt: skip


def test_a_group_however_rare_is_drawn_once_an_epoch() -> None:
    data = Data.model_validate({"train": [{"path": "x", "weight": 0.001}, "y"]})
    assert drawn_rows({(0, ""): 10, (1, ""): 10}, Balance(), data) == {(0, ""): 1, (1, ""): 10}


def test_balanced_weights_are_scikit_learns() -> None:
    labels = ["a"] * 6 + ["b"] * 3 + ["c"]
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(labels))
    found = balanced_weights(Counter(labels))
    assert [found[name] for name in "abc"] == pytest.approx(expected.tolist())
    assert np.mean([found[label] for label in labels]) == pytest.approx(1.0)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=2), st.floats(1, 20))
@settings(deadline=None)
def test_temperature_never_changes_which_class_is_larger(seen: dict[str, int], temperature: float) -> None:
    for sampling in ("over", "under"):
        asked = Balance(sampling=sampling, temperature=temperature)  # type: ignore[arg-type]
        wanted = class_targets({name: float(rows) for name, rows in seen.items()}, asked)
        for one, other in ((a, b) for a in seen for b in seen if seen[a] >= seen[b]):
            assert wanted[one] >= wanted[other] * (1 - 1e-9)
        ratio = max(wanted.values()) / min(wanted.values())
        assert ratio == pytest.approx((max(seen.values()) / min(seen.values())) ** (1 / temperature))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 20)), min_size=1, max_size=4), st.integers(0, 3))
@settings(deadline=None)
def test_rows_of_a_group_are_seen_equally_often_over_the_epochs(sizes: list[tuple[int, int]], seed: int) -> None:
    starts = np.cumsum([0, *(size for size, _ in sizes)])
    members = tuple(np.arange(a, b) for a, b in pairwise(starts))
    draws = Draws(members, tuple(drawn for _, drawn in sizes))
    seen = np.zeros(starts[-1], dtype=int)
    for epoch in range(5):
        rows = draws.epoch(epoch, seed)
        assert len(rows) == draws.total
        seen += np.bincount(rows, minlength=len(seen))
        for group in members:
            assert seen[group].max() - seen[group].min() <= 1


def test_rows_left_out_leave_their_group() -> None:
    draws = Draws((np.array([0, 2]), np.array([1]), np.array([3, 4])), (2, 5, 1)).only([2, 3, 4])
    assert [rows.tolist() for rows in draws.members] == [[0], [1, 2]]
    assert draws.drawn == (2, 1)
    assert draws.epoch(0, 1).tolist()[:2] == [0, 0]


def _file(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def _recipe(train: Any, **data: Any) -> Recipe:
    split = {"test": 4, "validation": 4, "minimum_test_rows": 1}
    fields = {"train": train, "split": split, "template": {"user": "{text}", "assistant": "{label}"}, **data}
    return recipe_from_mapping({"name": "r", "goal": "g", "data": fields})


def _dataset(tmp_path: Path, recipe: Recipe) -> Dataset:
    return prepare(recipe, Workspace.open(tmp_path / "workspace"))


def _balance(tmp_path: Path, recipe: Recipe) -> tuple[Any, list[Any]]:
    dataset = _dataset(tmp_path, recipe)
    examples = dataset.examples("train")
    return balance_of(dataset, recipe.data, [example.id for example in examples], ()), examples


def test_weights_follow_a_datasets_labels(tmp_path: Path) -> None:
    rows = [(f"often {n}", "yes") for n in range(36)] + [(f"rarely {n}", "no") for n in range(12)]
    recipe = _recipe(_file(tmp_path / "a.csv", rows), balance={"class_weights": "balanced"})
    found, examples = _balance(tmp_path, recipe)
    counts = Counter(example.answer for example in examples)
    assert found.draws is None
    expected = [len(examples) / (2 * counts[example.answer]) for example in examples]
    assert found.row_weights.tolist() == pytest.approx(expected)
    assert found.weigh(np.array([0, 0.5], np.float32), 0, None).tolist() == pytest.approx([0, expected[0] / 2])
    assert "'yes', the most frequent" in found.told[0]


def test_pieces_of_a_split_row_share_its_class(tmp_path: Path) -> None:
    rows = [(f"often {n}", "yes") for n in range(36)] + [(f"rarely {n}", "no") for n in range(12)]
    recipe = _recipe(_file(tmp_path / "a.csv", rows), balance={"sampling": "over"})
    dataset = _dataset(tmp_path, recipe)
    first = dataset.examples("train")[0]
    others = [example.id for example in dataset.examples("train")[1:]]
    found = balance_of(dataset, recipe.data, [first.id, f"{first.id}#2", *others], ())
    assert found is not None
    assert found.draws is not None
    assert any({0, 1} <= set(rows.tolist()) for rows in found.draws.members)


def test_sources_are_told_apart_by_their_files(tmp_path: Path) -> None:
    files = [_file(tmp_path / f"{name}.csv", [(f"{name} {n}", "xy"[n % 2]) for n in range(40)]) for name in "ab"]
    recipe = _recipe([files[0], {"path": files[1], "weight": 3}])
    found, examples = _balance(tmp_path, recipe)
    seen = Counter(examples[row].source for row in found.draws.epoch(0, 1))
    there = Counter(example.source for example in examples)
    assert seen == {"a.csv": there["a.csv"], "b.csv": 3 * there["b.csv"]}
    assert balance_of(_dataset(tmp_path, recipe), _recipe(files).data, [], ()) is None


def test_a_file_in_two_sources_cannot_be_weighed(tmp_path: Path) -> None:
    file = _file(tmp_path / "a.csv", [(f"text {n}", "xy"[n % 2]) for n in range(40)])
    recipe = _recipe([file, {"path": file, "weight": 3}], leakage="report")
    with pytest.raises(DataError, match=r"a\.csv belongs to several sources"):
        _balance(tmp_path, recipe)


def test_rows_without_classes_cannot_be_balanced_by_them(tmp_path: Path) -> None:
    rows = [(f"text {n}", f"answer number {n}") for n in range(40)]
    recipe = _recipe(_file(tmp_path / "a.csv", rows), balance={"sampling": "over"})
    with pytest.raises(DataError, match=r"kind 'text', and so rows have no class"):
        _balance(tmp_path, recipe)


def test_words_weigh_by_their_tags(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = [f'{{"tokens": ["w{n}", "v", "u"], "tags": ["O", "O", "{"AB"[n % 2]}"]}}' for n in range(20)]
    file.write_text("\n".join(lines))
    fields = {"train": str(file), "split": {"test": 4, "validation": 4, "minimum_test_rows": 1}}
    recipe = recipe_from_mapping(
        {
            "name": "r",
            "goal": "g",
            "data": {**fields, "balance": {"class_weights": "balanced"}},
            "train": {"objective": "tag"},
        }
    )
    dataset = _dataset(tmp_path, recipe)
    found = balance_of(dataset, recipe.data, [e.id for e in dataset.examples("train")], ("A", "B", "O"))
    assert found is not None
    assert found.class_weights is not None
    counts = dataset.manifest["label_counts"]["train"]
    # 12 rows of three words, two thirds of them O: 36 / (3 * 24) = 0.5.
    assert found.class_weights.tolist() == pytest.approx([36 / (3 * counts[name]) for name in "ABO"])
    assert found.class_weights[2] == pytest.approx(0.5)
    weighed = found.weigh(np.array([0, 1, 1], np.float32), 0, np.array([0, 0, 2], np.int32))
    assert weighed.tolist() == pytest.approx([0, found.class_weights[0], 0.5])
