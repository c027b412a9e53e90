"""From files to a stored dataset."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunewright.base.errors import DataError
from tunewright.base.events import Event, Message
from tunewright.data.dataset import Dataset
from tunewright.data.prepare import prepare
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace

TEMPLATE = {"user": "{text}", "assistant": "{label}"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def _csv(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label")) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def _recipe(train: Any, **data: Any) -> Recipe:
    settings = {"split": {"test": 0.2, "validation": 0.1, "minimum_test_rows": 1}, "template": TEMPLATE, **data}
    return recipe_from_mapping({"name": "r", "goal": "g", "data": {"train": train, **settings}})


def _rows(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"message {index}", "even" if index % 2 == 0 else "odd") for index in range(start, start + count)]


def test_a_labelled_table(tmp_path: Path, workspace: Workspace) -> None:
    heard: list[Event] = []
    dataset = prepare(_recipe(_csv(tmp_path / "a.csv", _rows(100))), workspace, listener=heard.append)
    assert dataset.manifest["splits"] == {"train": 70, "validation": 10, "test": 20}
    assert dataset.answer_kind == "label"
    assert dataset.labels == ("even", "odd")
    assert dataset.manifest["label_counts"]["test"] == {"even": 10, "odd": 10}
    assert dataset.manifest["recipe"] == "r"
    examples = [example for part in ("train", "validation", "test") for example in dataset.examples(part)]  # type: ignore[arg-type]
    assert len({example.id for example in examples}) == 100
    first = next(example for example in examples if example.line == 2)
    assert (first.source, first.answer, [m.content for m in first.prompt]) == ("a.csv", "even", ["message 0"])
    assert first.fields == {}
    assert Dataset.open(workspace.artifact(dataset.hash)).examples("test") == dataset.examples("test")


def test_the_same_input_gives_the_same_hash(tmp_path: Path, workspace: Workspace) -> None:
    file = _csv(tmp_path / "a.csv", [*_rows(60), ("Message  1", "odd")])
    recipe = _recipe(file, steps=["whitespace", "exact_duplicates"])
    first, second = prepare(recipe, workspace), prepare(recipe, Workspace.open(tmp_path / "other"))
    assert first.hash == second.hash
    assert prepare(recipe.model_copy(update={"name": "renamed"}), workspace).hash == first.hash
    assert prepare(recipe.model_copy(update={"seed": 18}), workspace).hash != first.hash


def test_ids_and_parts_survive_reordering(tmp_path: Path, workspace: Workspace) -> None:
    rows = [*_rows(60), *_rows(5)]
    before = prepare(_recipe(_csv(tmp_path / "a.csv", rows)), workspace)
    after = prepare(_recipe(_csv(tmp_path / "a.csv", rows[::-1])), workspace)
    for part in ("train", "validation", "test"):
        assert {e.id for e in before.examples(part)} == {e.id for e in after.examples(part)}  # type: ignore[arg-type]


def test_json_answers_have_fields(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"text {index}", "a" if index % 4 else "b", "") for index in range(40)]
    file = _csv(tmp_path / "a.csv", rows, ("text", "intent", "order"))
    template = {"user": "{text}", "assistant": {"intent": "intent", "order_id": "order"}}
    dataset = prepare(_recipe(file, template=template), workspace)
    assert (dataset.answer_kind, dataset.labels) == ("json", ())
    example = dataset.examples("test")[0]
    assert list(example.fields) == ["intent", "order_id"]
    assert example.fields["order_id"] is None
    assert json.loads(example.answer) == example.fields
    # Strata are the values of the first field with few values: 2 of 8 held-out rows are b, as in the whole.
    assert [e.fields["intent"] for e in dataset.examples("test")].count("b") == 2
    assert list(dataset.manifest["template"]["assistant"]) == ["intent", "order_id"]


def test_chat_rows_are_cleaned_and_folded_back(tmp_path: Path, workspace: Workspace) -> None:
    rows = []
    for index in range(30):
        turns = [("user", f"question  {index}"), ("assistant", f"answer {index}")]
        turns = [("system", "S"), *turns, ("user", "and\u200b?"), ("assistant", "no")] if index % 3 else turns
        rows.append({"messages": [{"role": role, "content": content} for role, content in turns]})
    file = tmp_path / "chat.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    recipe = _recipe(str(file), template=None, steps=["unicode", "whitespace", "exact_duplicates"], answer="text")
    dataset = prepare(recipe, workspace)
    examples = {example.line: example for part in ("train", "test") for example in dataset.examples(part)}  # type: ignore[arg-type]
    for line, example in examples.items():
        contents = [message.content for message in example.messages]
        short = [f"question {line - 1}", f"answer {line - 1}"]
        assert contents == (["S", *short, "and?", "no"] if (line - 1) % 3 else short)
    edits = pl.read_parquet(dataset.path / "edits.parquet")
    fields = set(edits.select("step", "field").unique().rows())
    assert fields == {
        ("whitespace", "messages[0].content"),
        ("whitespace", "messages[1].content"),
        ("unicode", "messages[3].content"),
    }


def test_refused_rows_are_counted_with_their_lines(tmp_path: Path, workspace: Workspace) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in _rows(100)]
    lines[16], lines[40], lines[60] = '{"text": ', json.dumps({"text": "", "label": "odd"}), json.dumps({"text": "x"})
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    recipe = _recipe(str(tmp_path / "a.jsonl"), steps=[{"name": "require", "columns": ["label"]}])
    heard: list[Event] = []
    dataset = prepare(recipe, workspace, listener=heard.append)
    refused = pl.read_parquet(dataset.path / "refused.parquet")
    assert refused.select("line", "stage").rows() == [(17, "read"), (61, "require"), (41, "conversation")]
    assert refused["row_id"].is_null().to_list() == [True, False, False]
    assert dataset.manifest["counts"] == {"read": 100, "recognised": 99, "clean": 98, "usable": 97, "kept": 97}
    assert dataset.manifest["sources"][0]["refused"] == 1
    assert any(isinstance(event, Message) and "3 of 100 rows cannot be used" in event.text for event in heard)


def test_too_many_unusable_rows_stop_the_work(tmp_path: Path, workspace: Workspace) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in _rows(100)]
    lines[50:80] = ["{broken"] * 30
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"30 of 100 rows cannot be used: 30\.0%") as caught:
        prepare(_recipe(str(tmp_path / "a.jsonl")), workspace)
    assert "a.jsonl:51: this is not valid JSON" in str(caught.value)
    assert "a.jsonl:71" not in str(caught.value)
    assert "… and 10 more" in str(caught.value)
    assert workspace.artifacts("dataset") == []


def test_given_files_are_left_as_they_are(tmp_path: Path, workspace: Workspace) -> None:
    train = _csv(tmp_path / "train.csv", [*_rows(40), ("MESSAGE 3", "odd")])
    test = _csv(tmp_path / "test.csv", [*_rows(10, 100), ("Message 100", "even")])
    dataset = prepare(_recipe(train, test=test, steps=["exact_duplicates"]), workspace)
    assert dataset.manifest["splits"] == {"train": 36, "validation": 4, "test": 11}
    assert dataset.manifest["steps"][0]["findings"]["duplicates"] == 1


LEAKS = [("Message  3", "odd"), *_rows(9, 100)]


def test_leakage_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    train, test = _csv(tmp_path / "train.csv", _rows(40)), _csv(tmp_path / "test.csv", LEAKS)
    with pytest.raises(DataError, match=r"1 test rows also stand in the training data") as caught:
        prepare(_recipe(train, test=test), workspace)
    assert "test.csv:2 = train.csv:5" in str(caught.value)


def test_leakage_is_reported_or_dropped(tmp_path: Path, workspace: Workspace) -> None:
    train, test = _csv(tmp_path / "train.csv", _rows(40)), _csv(tmp_path / "test.csv", LEAKS)
    reported = prepare(_recipe(train, test=test, leakage="report"), workspace)
    assert reported.leaked == {reported.examples("test")[0].id}
    assert reported.manifest["splits"] == {"train": 36, "validation": 4, "test": 10}
    dropped = prepare(_recipe(train, test=test, leakage="drop"), workspace)
    assert dropped.leaked == frozenset()
    assert sum(dropped.manifest["splits"].values()) == 49
    assert dropped.manifest["leakage"]["dropped"] == 1
    edits = pl.read_parquet(dropped.path / "edits.parquet")
    assert edits.select("step", "line").rows() == [("leakage", 5)]
    lines = {example.line for part in ("train", "validation") for example in dropped.examples(part)}  # type: ignore[arg-type]
    assert 5 not in lines


def test_equal_texts_never_straddle_the_split(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"{'  ' * (copy % 2)}Message {index}".upper() if copy else f"message {index}", f"{copy}")
            for index in range(30) for copy in range(3)]  # fmt: skip
    dataset = prepare(_recipe(_csv(tmp_path / "a.csv", rows)), workspace)
    homes: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        for example in dataset.examples(part):  # type: ignore[arg-type]
            homes.setdefault(example.prompt[0].content.strip().lower(), set()).add(part)
    assert len(homes) == 30
    assert all(len(parts) == 1 for parts in homes.values())


def test_one_label_only_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    file = _csv(tmp_path / "a.csv", [(f"text {index}", "same") for index in range(50)])
    for answer in ("label", "auto"):
        with pytest.raises(DataError, match="All 50 rows have the same answer, 'same'"):
            prepare(_recipe(file, answer=answer), workspace)
    assert prepare(_recipe(file, answer="text"), workspace).answer_kind == "text"


def test_free_answers_are_text(tmp_path: Path, workspace: Workspace) -> None:
    file = _csv(tmp_path / "a.csv", [(f"text {index}", f"answer {index}") for index in range(50)])
    assert prepare(_recipe(file), workspace).answer_kind == "text"
    with pytest.raises(DataError, match="the answer is not a JSON object"):
        prepare(_recipe(file, answer="json"), workspace)


def test_a_missing_column_stops_before_any_row_is_read(tmp_path: Path, workspace: Workspace) -> None:
    train, test = _csv(tmp_path / "a.csv", _rows(20)), _csv(tmp_path / "b.csv", _rows(20, 50), ("text", "lable"))
    with pytest.raises(DataError, match=r"b\.csv: The column 'label' is not there\. Did you mean 'lable'"):
        prepare(_recipe(train, test=test), workspace)
    with pytest.raises(DataError, match="The column 'note' is not there"):
        prepare(_recipe(train, steps=[{"name": "require", "columns": ["note"]}]), workspace)


def test_steps_may_use_columns_outside_the_template(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(text, label, "" if index < 4 else "ok") for index, (text, label) in enumerate(_rows(40))]
    file = _csv(tmp_path / "a.csv", rows, ("text", "label", "note"))
    dataset = prepare(_recipe(file, steps=[{"name": "require", "columns": ["note"]}]), workspace)
    assert dataset.manifest["counts"]["usable"] == 36
    assert [entry["reason"] for entry in dataset.manifest["refused"]] == ["empty: note"]


def test_too_few_test_rows_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    file = _csv(tmp_path / "a.csv", _rows(1000))
    with pytest.raises(DataError, match=r"100 test rows out of 1,000 usable rows.*Set data\.split\.test to 200"):
        prepare(_recipe(file, split={}), workspace)


def _pairs(path: Path, rows: Sequence[tuple[str, str, str]]) -> str:
    names = ("prompt", "chosen", "rejected")
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_preference_rows_keep_both_answers(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"question {index}", f"good {index}", f"bad {index}") for index in range(50)]
    dataset = prepare(_recipe(_pairs(tmp_path / "a.jsonl", rows), template=None), workspace)
    assert dataset.manifest["format"] == "preference"
    for part in ("train", "validation", "test"):
        for example in dataset.examples(part):  # type: ignore[arg-type]
            number = example.prompt[-1].content.split()[1]
            assert (example.answer, example.rejected) == (f"good {number}", f"bad {number}")


def test_pairs_of_one_prompt_stay_together_and_contradict_nothing(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"Question {index // 3}", f"good {index}", f"bad {index}") for index in range(60)]
    repeated = ("question  7", "good 21", "bad 21")
    recipe = _recipe(_pairs(tmp_path / "a.jsonl", [*rows, repeated]), template=None, steps=["exact_duplicates"])
    dataset = prepare(recipe, workspace)
    assert dataset.manifest["counts"]["kept"] == 60
    (step,) = dataset.manifest["steps"]
    assert step["findings"] == {"duplicates": 1, "conflicting_texts": 0, "conflicting_rows": 0}
    homes: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        for example in dataset.examples(part):  # type: ignore[arg-type]
            homes.setdefault(example.prompt[0].content, set()).add(part)
    assert len(homes) == 20
    assert all(len(parts) == 1 for parts in homes.values())


def test_a_prompt_with_other_answers_leaks_too(tmp_path: Path, workspace: Workspace) -> None:
    train = _pairs(tmp_path / "a.jsonl", [(f"question {index}", f"good {index}", "bad") for index in range(40)])
    test = _pairs(tmp_path / "b.jsonl", [("Question 3", "other", "worse"), ("new", "good", "bad")])
    with pytest.raises(DataError, match="1 test rows also stand in the training data"):
        prepare(_recipe(train, template=None, test=test), workspace)


def test_pairs_without_a_difference_are_refused_rows(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"question {index}", "Yes. ", "No." if index else "Yes.") for index in range(20)]
    recipe = _recipe(_pairs(tmp_path / "a.jsonl", rows), template=None, steps=["whitespace"], answer="text")
    dataset = prepare(recipe, workspace)
    assert [entry["reason"] for entry in dataset.manifest["refused"]] == [
        "the chosen and the rejected answer are the same"
    ]


def test_datasets_made_before_there_were_pairs_are_read(tmp_path: Path, workspace: Workspace) -> None:
    dataset = prepare(_recipe(_csv(tmp_path / "a.csv", _rows(40))), workspace)
    old = tmp_path / "old"
    old.mkdir()
    for file in dataset.path.iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    pl.read_parquet(old / "train.parquet").drop("rejected").write_parquet(old / "train.parquet")
    assert Dataset(dataset.hash, old, dataset.manifest).examples("train") == dataset.examples("train")
