"""The gate: what stands in train nearly, by a run of words, or in a benchmark is refused, told or dropped."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tunewright.base.errors import DataError
from tunewright.data.dataset import Dataset
from tunewright.data.prepare import prepare
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

PARCEL = "the parcel that I ordered from you on the first of March has still not come to my door"
NEARLY = "the parcel that I ordered from you on the first of March has still not come to my house"
QUOTED = (
    "your driver ordered from you on the first of March has still not come to my door, and so I write to you once more"
)
OTHERS = [
    "how do I close my account",
    "which card is charged",
    "do you sell gift vouchers",
    "is the shop open on Sunday",
]


def rows(path: Path, texts: list[str]) -> str:
    labelled = [[text, "ab"[number % 2]] for number, text in enumerate(texts)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *labelled])
    return str(path)


def made(folder: Path, test: list[str], **data: Any) -> Dataset:
    recipe = recipe_from_mapping(
        {
            "name": "r",
            "goal": "g",
            "data": {
                "train": rows(folder / "train.csv", [PARCEL, *OTHERS[:3]]),
                "validation": rows(folder / "validation.csv", OTHERS[3:]),
                "test": rows(folder / "test.csv", test),
                "template": {
                    "user": "Which intent has this message of a customer?\n\n{text}\n\nOne word.",
                    "assistant": "{label}",
                },
                "answer": "label",
                "split": {"minimum_test_rows": 1},
                **data,
            },
        }
    )
    return prepare(recipe, Workspace.open(folder / "workspace"))


def test_the_words_of_the_template_make_nothing_alike(tmp_path: Path) -> None:
    dataset = made(tmp_path, ["where is the nearest branch"], leakage_ways=["near", "ngram"])
    assert dataset.manifest["leakage"]["ways"] == {"exact": 0, "near": 0, "ngram": 0}


@pytest.mark.parametrize(("text", "way", "said"), [(NEARLY, "near", "1 nearly"), (QUOTED, "ngram", "by a long run")])
def test_a_leak_in_other_ways_is_refused(tmp_path: Path, text: str, way: str, said: str) -> None:
    assert made(tmp_path, [text]).manifest["leakage"]["rows"] == 0
    with pytest.raises(DataError, match=said) as caught:
        made(tmp_path, [text], leakage_ways=[way])
    assert f"test.csv:2 ~ train.csv:2 ({way})" in str(caught.value)


def test_what_is_like_a_held_out_row_leaves_train(tmp_path: Path) -> None:
    dataset = made(tmp_path, [NEARLY, "where is the nearest branch"], leakage_ways=["near"], leakage="drop")
    assert [example.line for example in dataset.examples("train")] == [3, 4, 5]
    assert dataset.manifest["splits"]["test"] == 2
    told = made(tmp_path, [NEARLY, "where is the nearest branch"], leakage_ways=["near"], leakage="report")
    assert told.leaked == {told.examples("test")[0].id}


def test_a_benchmark_must_not_be_learned(tmp_path: Path) -> None:
    others = rows(tmp_path / "others.csv", ["Which CARD  is charged?", "never seen"])
    with pytest.raises(DataError, match=r"data\.bank: 1 bank rows also stand in the training data"):
        made(tmp_path, ["where is the nearest branch"], benchmarks={"bank": others})
    dataset = made(tmp_path, ["where is the nearest branch"], benchmarks={"bank": others}, leakage="drop")
    assert dataset.manifest["leakage"]["benchmarks"] == {"bank": {"exact": 1}}
    assert [example.line for example in dataset.examples("train")] == [2, 3, 5]
    with pytest.raises(DataError, match="nearly"):
        made(tmp_path, ["x y z"], benchmarks={"far": rows(tmp_path / "far.csv", [NEARLY])}, leakage_ways=["near"])
