"""Programs that score: run apart from everything, and only for a number."""

from __future__ import annotations

import pytest

from tests.evaluate.graders.made import LOOK
from tunewright.evaluate.graders import GradingError, Kit, grade, parse_grader

KIT = Kit(runs_python=True)


def program(source: str, **more: float) -> object:
    return {"type": "python", "name": "own", "source": source, **more}


def test_a_program_sees_row_and_answer() -> None:
    source = "def grade(sample, item):\n    return item['n'] / 4 if 'Paris' in sample['output_text'] else 0\n"
    graded = grade(parse_grader(program(source, pass_threshold=0.8)), LOOK, KIT)
    assert (graded.score, graded.passed) == (0.75, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('gone')", "KeyError: 'gone'"),
        ("return 'high'", "could not convert string to float"),
        ("return None", "float"),
        ("import socket; socket.create_connection(('127.0.0.1', 9)); return 1", "not allowed here"),
        ("return len(open('/etc/passwd').read())", "not allowed here"),
        ("import os; os._exit(0)", "ended before its last line"),
        ("return len(bytearray(4 << 30))", "MemoryError"),
    ],
)
def test_what_goes_wrong_inside_is_told(body: str, said: str) -> None:
    with pytest.raises(GradingError) as caught:
        grade(parse_grader(program(f"def grade(sample, item):\n    {body}\n")), LOOK, KIT)
    assert caught.value.kind == "python_grader_runtime_error"
    assert said in str(caught.value)


def test_a_program_without_the_function_and_a_score_without_a_value_are_errors() -> None:
    with pytest.raises(GradingError, match="name 'grade' is not defined"):
        grade(parse_grader(program("score = 1")), LOOK, KIT)
    with pytest.raises(GradingError, match=r"not a number \(nan\)"):
        grade(parse_grader(program("def grade(sample, item):\n    return float('nan')")), LOOK, KIT)


def test_its_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.evaluate.graders import python

    monkeypatch.setattr(python, "TIMEOUT_S", 0.5)
    with pytest.raises(GradingError, match=r"not done in 0\.5 s"):
        grade(parse_grader(program("def grade(sample, item):\n    while True: pass")), LOOK, KIT)
