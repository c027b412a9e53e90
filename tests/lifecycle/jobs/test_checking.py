"""A job's files: what is usable, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lifecycle.jobs.made import chat_rows, pair_rows
from tunewright.lifecycle.jobs.checking import Checked, FileError, Param, check_file


def written(folder: Path, rows: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def fault(folder: Path, rows: list[Any], method: str = "supervised", param: Param = "training_file") -> FileError:
    with pytest.raises(FileError) as caught:
        check_file(written(folder, rows), method, param)
    return caught.value


def test_good_files_are_counted(tmp_path: Path) -> None:
    rows = chat_rows(12)
    assert check_file(written(tmp_path, ["", *rows, ""]), "supervised", "training_file") == Checked(
        12, max(len(json.dumps(row)) for row in rows)
    )
    assert check_file(written(tmp_path, pair_rows(10)), "dpo", "training_file").examples == 10
    assert check_file(written(tmp_path, chat_rows(1)), "supervised", "validation_file").examples == 1


def test_too_few_examples_are_said_in_openais_words(tmp_path: Path) -> None:
    found = fault(tmp_path, chat_rows(7))
    assert found.message == "Training file has 7 example(s), but must have at least 10 examples"
    assert (found.code, found.param) == ("invalid_n_examples", "training_file")


def test_a_missing_role_is_said_in_openais_words(tmp_path: Path) -> None:
    rows = chat_rows(120)
    del rows[99]["messages"][1]["role"]
    found = fault(tmp_path, rows)
    assert found.message == "Invalid file format. Example 100, message 2 Discriminator 'role' is missing in value"
    assert (found.code, found.param) == ("invalid_training_file", "training_file")


def test_several_faults_are_counted_and_named(tmp_path: Path) -> None:
    rows: list[Any] = chat_rows(12)
    rows[2] = '{"messages": ['
    rows[5] = {"prompt": "red"}
    rows[8] = ["red"]
    found = fault(tmp_path, rows, param="validation_file")
    assert found.message.startswith("Invalid file format. Example 3 (line 3) is not valid JSON: ")
    assert found.message.endswith(". 2 more cannot be used: 6, 9")
    assert (found.code, found.param) == ("invalid_validation_file", "validation_file")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"messages": []}, "'messages' is empty"),
        ({"messages": "red"}, "'messages' is a text"),
        ({"messages": [{"role": "user", "content": "red"}]}, "no assistant message"),
        ({"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": "red"}]}, "is null"),
        ({"messages": [{"role": "user", "content": "cup"}, {"role": "assistant", "content": " "}]}, "is empty"),
        ({"messages": [{"role": "robot", "content": "red"}]}, "Input tag 'robot' found using 'role'"),
        ({"messages": ["red"]}, "message 1 Input should be a valid dictionary"),
        ({"tools": [{"type": "function"}]}, "defines no function"),
        ({}, "'messages' is missing"),
    ],
)
def test_what_is_wrong_with_an_example_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    rows = chat_rows(12)
    rows[3] = {**rows[3], **change} if "tools" in change else change
    message = fault(tmp_path, rows).message
    assert message.startswith("Invalid file format. Example 4")
    assert said in message


def test_pairs_are_checked_on_both_sides(tmp_path: Path) -> None:
    rows = pair_rows(12)
    del rows[0]["non_preferred_output"][0]["role"]
    assert "Example 1, non_preferred_output message 1 Discriminator 'role'" in fault(tmp_path, rows, "dpo").message
    rows = pair_rows(12)
    rows[1]["non_preferred_output"] = rows[1]["preferred_output"]
    assert "Example 2, the chosen and the rejected answer are the same" in fault(tmp_path, rows, "dpo").message
    assert "'preferred_output' is missing" in fault(tmp_path, [{"input": {}}] * 12, "dpo").message


def test_a_line_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"messages": []}\n\xff\xfe\n')
    with pytest.raises(FileError, match="Line 2 is not UTF-8"):
        check_file(path, "supervised", "training_file")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "role", "content", "weight", "tools", "input"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(max_examples=25)
@given(rows=st.lists(_json, min_size=1, max_size=3), method=st.sampled_from(["supervised", "dpo"]))
def test_whatever_stands_there_it_is_told_and_nothing_breaks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], method: str
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    found = fault(folder, [json.dumps(row) for row in rows], method)
    assert found.code in ("invalid_training_file", "invalid_n_examples")
