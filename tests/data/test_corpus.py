"""Documents from files to a dataset: what is read, refused, split and leaked, and that memory does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_tokenizer
from tunewright.base.errors import DataError, RecipeError
from tunewright.data import corpus, documents
from tunewright.data.blocks import tokenize_documents
from tunewright.data.dataset import Dataset, Part
from tunewright.data.documents import Section
from tunewright.data.prepare import prepare
from tunewright.models.chat import ChatFormat
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace


def recipe_of(folder: Path, train: Any = "rows.jsonl", **data: Any) -> Recipe:
    split = {"validation": 2, "test": 3, "minimum_test_rows": 1}
    return recipe_from_mapping(
        {
            "name": "corpus",
            "goal": "Go on with texts.",
            "data": {"train": train, "split": split, "max_length": 64, **data},
            "train": {"objective": "cpt"},
        },
        folder=folder,
    )


def prepared(folder: Path, *args: Any, **data: Any) -> Dataset:
    return prepare(recipe_of(folder, *args, **data), Workspace.open(folder / "workspace"))


def write(folder: Path, texts: list[Any], name: str = "rows.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def texts_of(dataset: Dataset, part: Part) -> list[str]:
    return [section.text for section in dataset.sections(part)]


def test_rows_are_read_refused_and_split(tmp_path: Path) -> None:
    write(tmp_path, [*(f"text {n}" for n in range(20)), "", 7])
    dataset = prepared(tmp_path)
    assert dataset.answer_kind == "document"
    assert dataset.manifest["splits"] == {"train": 15, "validation": 2, "test": 3}
    assert dataset.manifest["counts"] == {"read": 22, "usable": 20, "kept": 20}
    assert {row["reason"] for row in dataset.manifest["refused"]} == {"'text' is empty", "'text' is not a text"}
    parts = {part: texts_of(dataset, part) for part in corpus.PARTS}
    assert sorted(text for texts in parts.values() for text in texts) == sorted(f"text {n}" for n in range(20))
    again = prepared(tmp_path)
    assert again.hash == dataset.hash
    with pytest.raises(DataError, match="holds documents"):
        dataset.examples("train")


def test_equal_documents_stay_together(tmp_path: Path) -> None:
    write(tmp_path, [f"text {n % 10}{' ' * (n // 10)}" for n in range(40)])
    dataset = prepared(tmp_path, split={"validation": 0, "test": 0.3, "minimum_test_rows": 1})
    held, learned = (
        {text.strip() for text in texts_of(dataset, part)}
        for part in ("test", "train")  # type: ignore[arg-type]
    )
    assert dataset.manifest["splits"]["test"] == 12
    assert (len(held), len(learned), held & learned) == (3, 7, set())


def test_plain_files_of_a_folder_are_documents(tmp_path: Path) -> None:
    folder = tmp_path / "texts" / "deep"
    folder.mkdir(parents=True)
    for n in range(6):
        (folder / f"{n}.md").write_text(f"# Title {n}\n\nText.\n", encoding="utf-8")
    (folder / "broken.md").write_bytes(b"caf\xe9")
    (folder / "empty.md").write_text(" \n")
    dataset = prepared(tmp_path, "texts/**/*.md", max_unusable_share=0.5)
    assert sum(dataset.manifest["splits"].values()) == 6
    reasons = {row["reason"] for row in dataset.manifest["refused"]}
    assert "this file is empty" in reasons
    assert any("UTF-8" in reason for reason in reasons)


def test_another_column_may_hold_the_text_and_its_absence_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,body\n" + "".join(f"{n},text {n}\n" for n in range(9)))
    dataset = prepared(tmp_path, {"path": "rows.csv", "columns": {"text": "body"}})
    assert sum(dataset.manifest["splits"].values()) == 9
    with pytest.raises(DataError, match=r"The column 'text' is not there"):
        prepared(tmp_path, "rows.csv")


def test_long_documents_come_in_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "SECTION_CHARACTERS", 10)
    write(tmp_path, [f"line {n}\nsecond line\nthird" for n in range(8)])
    dataset = prepared(tmp_path, split={"validation": 0, "test": 1, "minimum_test_rows": 1})
    sections = list(dataset.sections("train"))
    whole: dict[str, str] = {}
    for section in sections:
        whole[section.document] = whole.get(section.document, "") + section.text
    assert len(sections) > len(whole) == 7
    assert all(text.startswith("line ") and text.endswith("\nsecond line\nthird") for text in whole.values())


def test_steps_clean_documents_and_log_it(tmp_path: Path) -> None:
    write(tmp_path, [f"text   {n}" for n in range(30)])
    dataset = prepared(tmp_path, steps=["whitespace"])
    assert all("  " not in text for text in texts_of(dataset, "train"))
    assert dataset.manifest["edit_count"] == 30
    assert len(dataset.manifest["edits"]) == 20
    with pytest.raises(DataError, match="'exact_duplicates' compares rows"):
        prepared(tmp_path, steps=["exact_duplicates"])
    with pytest.raises(DataError, match="word for word alone"):
        prepared(tmp_path, leakage_ways=["near"])


@pytest.mark.parametrize(("policy", "kept"), [("report", 9), ("drop", 8)])
def test_given_test_documents_that_leak(tmp_path: Path, policy: str, kept: int) -> None:
    write(tmp_path, [f"text {n}" for n in range(9)])
    write(tmp_path, ["TEXT 4", "other"], "test.jsonl")
    split = {"validation": 0, "minimum_test_rows": 1}
    with pytest.raises(DataError, match=r"test.jsonl:1 = rows.jsonl:5"):
        prepared(tmp_path, test="test.jsonl", split=split)
    dataset = prepared(tmp_path, test="test.jsonl", split=split, leakage=policy)
    assert len(texts_of(dataset, "train")) == dataset.manifest["splits"]["train"] == kept
    assert dataset.manifest["leakage"]["rows"] == 1
    assert len(dataset.leaked) == (policy == "report")


def test_recipes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"take data\.template out"):
        recipe_of(tmp_path, template={"user": "{a}", "assistant": "{b}"})
    with pytest.raises(RecipeError, match=r"set train\.objective to cpt"):
        recipe_from_mapping({"name": "a", "goal": "b", "data": {"train": "c", "format": "text"}}, folder=tmp_path)


LINE = "the quick brown fox jumps over the lazy dog " * 40


def _peak_bytes(work: Callable[[], object]) -> int:
    """Most memory that Python and NumPy held at once while something was done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_CHUNK_CHARACTERS", 1 << 16)
    peaks = []
    for count in (650, 1300):  # 1.1 MB of text, more than any buffer, and twice as much
        folder = tmp_path / str(count)
        folder.mkdir()
        write(folder, [f"{n} {LINE}" for n in range(count)])
        recipe, workspace = recipe_of(folder), Workspace.open(folder / "workspace")
        peaks.append(_peak_bytes(partial(prepare, recipe, workspace)))
    assert peaks[1] < peaks[0] + 300_000  # and not by 1.1 MB


def test_nor_does_that_of_tokenising(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    assert chat.plain.tokens("warm") != []

    def work(count: int) -> None:
        sections = (Section(f"d{n}", "made", n, f"{n} {LINE}") for n in range(count))
        key = {"key": str(count), "cache": tmp_path, "max_length": 512, "packed": True}
        assert len(tokenize_documents(sections, chat, **key)) > count  # type: ignore[arg-type]

    # Sixteen bytes a block are kept: its place, and its first document.
    small, large = (_peak_bytes(partial(work, count)) for count in (30, 300))
    assert large < small + 100_000
