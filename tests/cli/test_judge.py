"""`eval judge` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import tunewright
from tests.endpoints.server import serving
from tests.evaluate.judging.bench import grading, pieces
from tunewright.evaluate import Answers, store_answers
from tunewright.metrics import Answer


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    given = {
        system: Answers(
            system, tuple(Answer(f"r{n}", "ref", text, question="Why?") for n, text in enumerate(texts)), 1.0
        )
        for system, texts in {"tuned": ["aaaa", "aa"], "base": ["a", "aaa"]}.items()
    }
    store_answers(given, tmp_path / "answers")
    return tmp_path / "answers"


def _judge(stored: Path, url: str, *words: str) -> tuple[int, Any, str]:
    given = [
        "eval",
        "judge",
        str(stored),
        "--endpoint",
        url,
        "--model",
        "grader",
        "--workspace",
        str(stored.parent / "w"),
    ]
    result = tunewright(*given, *words)
    return result.code, result.out, result.err


def test_stored_answers_are_judged_and_shown(stored: Path) -> None:
    with serving(grading(len)) as server:
        code, out, err = _judge(stored, server.url, "--rubric", "clarity", "--against", "base", "--json")
        assert code == 0, err
        finding = json.loads(out)["findings"]["judge_clarity"]
        assert (finding["value"], finding["base"], finding["n"]) == (3.0, 2.0, 2)
        asked = len(server.asked)
        code, out, _ = _judge(stored, server.url, "--rubric", "clarity", "--against", "base")
        assert code == 0
        assert len(server.asked) == asked
    assert "Clarity, as grader judges it: 3" in out
    assert "Not held against people yet." in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Nothing says what to judge by"),
        (("--rubric", "clarty"), "Did you mean 'clarity'"),
        (("--rubric", "tone", "--system", "champion"), "'champion' has no answers that could be judged"),
        (("--pairwise", "--how", "likelihood"), "an endpoint does not say how likely"),
        (("--pairwise", "--against", "champion"), "'champion' has no answers that could be judged"),
    ],
)
def test_wrong_input_is_refused(words: tuple[str, ...], message: str, stored: Path) -> None:
    code, _, err = _judge(stored, "http://127.0.0.1:9/v1", *words)
    assert code == 2
    assert message in err


def test_a_target_that_is_nothing_is_refused(tmp_path: Path) -> None:
    result = tunewright("eval", "judge", "nobody", "--rubric", "tone", "--local", "x", "--workspace", str(tmp_path))
    assert result.code == 2
    assert "nobody" in result.err


def test_a_file_of_what_any_system_said_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    rows = [
        {"id": f"r{row}", "system": system, "question": "Why?", "prediction": text, "context": "Because."}
        for system, texts in {"a": ["xx", "xxxx"], "b": ["x", "x"]}.items()
        for row, text in enumerate(texts)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving(grading(len)) as server:
        words = ("--rubric", "faithfulness", "--system", "a", "--against", "b", "--json")
        code, out, err = _judge(file, server.url, *words)
        assert code == 0, err
        finding = json.loads(out)["findings"]["judge_faithfulness"]
        assert (finding["value"], finding["base"]) == (3.0, 1.0)
        assert pieces(server.asked[0])["CONTEXT"] == "Because."
        code, _, err = _judge(file, server.url, "--rubric", "tone")
    assert code == 2
    assert "Name one with --system: a, b" in err
