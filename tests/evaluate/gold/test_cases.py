"""Reading cases: what is wrong is said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.base.errors import InputError
from tunewright.evaluate.gold.cases import read_cases, read_folder


def _file(folder: Path, text: str) -> Path:
    file = folder / "cases.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_holds_one_case_or_several(tmp_path: Path) -> None:
    _file(tmp_path, "- {input: Hello, assert: {contains: Hi}}\n- name: two\n  input: Bye\n  assert: {equals: Bye}\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.yml").write_text("messages: [{role: user, content: Hi}]\nassert: {matches: [a, b]}\n")
    (tmp_path / "notes.md").write_text("not a case")
    cases = read_folder(tmp_path)
    assert [case.id for case in cases] == ["cases.yaml::case 1", "cases.yaml::two", "more/one.yml::case 1"]
    assert cases[0].case.wanted.contains == ("Hi",)
    assert cases[1].where == f"{tmp_path}/cases.yaml:2"


def test_dates_and_words_stay_what_was_written(tmp_path: Path) -> None:
    file = _file(tmp_path, "input: When?\nassert: {equals: {date: 2025-01-17, urgent: true}}\n")
    assert read_cases(file, tmp_path)[0].case.wanted.equals == {"date": "2025-01-17", "urgent": True}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- input: a\n  asert: {contains: b}\n", 2, "'asert' is unknown. Did you mean 'assert'?"),
        ("- input: a\n  assert: {contain: b}\n", 2, "Did you mean 'contains'?"),
        ("- input: a\n  assert:\n    matches: '('\n", 3, "no regular expression"),
        ("- input: a\n  assert: {matches_schema: {type: strin}}\n", 2, "no JSON Schema"),
        ("- assert: {contains: b}\n", 1, "Give either an input or messages"),
        ("- input: a\n  assert: {}\n", 1, "Nothing says what the answer must be like"),
        ("- input: a\n  assert: {not_worse_than: champion}\n", 1, "Nothing says what the answer must be like"),
        ("- input: ' '\n  assert: {contains: b}\n", 1, "the message is empty"),
        ("- input: a\n  assert: {judged: {rubric: clarty, at_least: 3}}\n", 2, "Did you mean 'clarity'?"),
        ("- input: a\n  input: b\n  assert: {contains: c}\n", 2, "is given twice"),
        ("- input: [\n", 2, "not valid YAML"),
        ("just words\n", 0, "Gold tests are a case, or a list of cases"),
        (
            "- input: a\n  name: x\n  assert: {contains: b}\n- name: x\n  input: a\n  assert: {contains: b}\n",
            4,
            "called 'x'",
        ),
        ("messages: [{role: assistant, content: a}]\nassert: {contains: b}\n", 1, "must be the user's"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read_cases(_file(tmp_path, text), tmp_path)
    assert message in str(raised.value)
    assert f"cases.yaml:{line}" in str(raised.value) or not line


def test_every_fault_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There are 2 faults\n.*cases.yaml:1: .*\n.*cases.yaml:2: "):
        read_cases(_file(tmp_path, "- {inpt: a, assert: {contains: b}}\n- {input: a, assert: {}}\n"), tmp_path)


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_folder(tmp_path / "none")
    with pytest.raises(InputError, match="no gold tests here"):
        read_folder(tmp_path)


@given(st.text(alphabet="-:{}[]'\"\n abinput#&*!|>%@,\x00ä", max_size=60))
def test_any_text_is_cases_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    refused = ""
    try:
        read_cases(_file(folder, text), folder)
    except InputError as error:
        refused = str(error)
    assert not refused or str(folder) in refused
