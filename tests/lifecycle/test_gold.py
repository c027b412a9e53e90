"""Judges and gold tests on a trained release: in its recipe, on the command line, and under pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tests.cli.command import tunewright
from tests.endpoints.server import Server, serving
from tests.evaluate.judging.bench import pieces
from tests.lifecycle.world import make_world
from tunewright.cli.tables import challenger_lines
from tunewright.evaluate import load_answers
from tunewright.lifecycle.pipeline import RunResult

pytest_plugins = ["pytester"]

_PLUGIN = ("-p", "tunewright.cli.pytest_gold", "-p", "no:cacheprovider")


def _judge(body: dict[str, Any]) -> str:
    shown = pieces(body)
    if "ANSWER 2" in shown:
        return json.dumps({"reason": "Alike.", "better": "tie"})
    return json.dumps({"reason": "Plain.", "score": 4})


@pytest.fixture(scope="module")
def judge() -> Iterator[Server]:
    with serving(_judge) as server:
        yield server


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, judge: Server) -> RunResult:
    folder = tmp_path_factory.mktemp("gold")
    probe = {
        "name": "judge",
        "endpoint": {"url": judge.url, "model": "grader"},
        "rubrics": ["clarity"],
        "pairwise": True,
        "limit": 3,
    }
    (folder / "own.csv").write_text("text,label\nred boat of my own,red\nblue book of my own,blue\n")
    recipe = make_world(
        folder,
        data={"challenger": "own.csv"},
        rows=80,
        evaluate={"systems": ["base"], "probes": [probe], "max_new_tokens": 4, "bootstrap_samples": 100},
    )
    return tw.run(recipe, workspace=folder / "ws")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    folder = tmp_path / "gold"
    folder.mkdir()
    (folder / "some.yaml").write_text(
        "- {name: anything, input: red apple, assert: {matches: '(?s).*'}, tags: [easy]}\n"
        "- {name: known, input: blue lamp, assert: {contains: zebra}, xfail: It knows no animals.}\n"
        "- {name: wrong, input: green coat, assert: {contains: zebra}, tags: [hard], note: Since the zoo.}\n"
        "- {name: as before, input: green coat, assert: {contains: zebra, not_worse_than: colours@1}}\n"
    )
    return folder


def test_the_recipes_judge_is_asked_about_tuned_and_base(result: RunResult, judge: Server) -> None:
    findings = result.evaluation["findings"]
    assert list(findings) == ["judge_clarity", "judge_win_rate", "judge_flips", "parity"]
    assert (findings["judge_clarity"]["value"], findings["judge_clarity"]["base"]) == (4.0, 4.0)
    assert findings["judge_win_rate"]["value"] == 0.5
    assert {pieces(body)["REFERENCE ANSWER"] for body in judge.asked} <= {"red", "green", "blue"}
    assert "Not held against people yet." in result.report.read_text(encoding="utf-8")


def test_a_release_is_judged_from_what_it_has_stored(result: RunResult, judge: Server) -> None:
    asked = len(judge.asked)
    words = ["--rubric", "clarity", "--endpoint", judge.url, "--model", "grader", "--limit", "3"]
    outcome = tunewright("eval", "judge", "colours", *words, "--seed", "3", "--workspace", result.workspace, "--json")
    assert outcome.code == 0, outcome.err
    finding = outcome.document["findings"]["judge_clarity"]
    assert (finding["value"], finding["n"]) == (4.0, 3)
    assert len(judge.asked) == asked  # the run has asked the same, and its verdicts are kept


def test_a_release_can_judge(result: RunResult) -> None:
    words = ["--rubric", "tone", "--release", "colours@1", "--how", "likelihood", "--limit", "2"]
    outcome = tunewright("eval", "judge", result.run, *words, "--workspace", result.workspace, "--json")
    assert outcome.code == 0, outcome.err
    assert 1.0 < outcome.document["findings"]["judge_tone"]["value"] < 5.0


def test_gold_tests_on_the_command_line(result: RunResult, cases: Path) -> None:
    outcome = tunewright("eval", "gold", cases, "colours", "--workspace", result.workspace, "--json")
    assert outcome.code == 1
    found = outcome.document
    assert (found["model"], found["cases"], found["passed"], found["failed"]) == ("colours@1", 4, 2, 1)
    assert [each["status"] for each in found["outcomes"]] == ["passed", "expected_failure", "failed", "passed"]
    assert found["outcomes"][3]["forgiven"] == [{"wanted": "contains 'zebra'", "why": ""}]
    easy = tunewright("eval", "gold", cases, "colours", "--workspace", result.workspace, "--tag", "easy")
    assert easy.code == 0
    assert "1 of 1 cases as they should be" in easy.out


def test_gold_tests_of_nothing_are_refused(result: RunResult, tmp_path: Path) -> None:
    for words, said in (
        ((tmp_path / "none", "colours"), "does not exist"),
        ((tmp_path, "colours"), "no gold tests here"),
    ):
        outcome = tunewright("eval", "gold", *words, "--workspace", result.workspace)
        assert outcome.code == 2
        assert said in outcome.err


def test_gold_tests_under_pytest(result: RunResult, cases: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_own="def test_own(): raise AssertionError('not asked for')")
    pytester.makeini("[pytest]\ntestpaths = .")
    given = ["--tunewright-gold", str(cases), "colours", "--tunewright-workspace", str(result.workspace)]
    ran = pytester.runpytest_inprocess(*_PLUGIN, *given)
    ran.assert_outcomes(passed=2, failed=1, xfailed=1)
    ran.stdout.fnmatch_lines(
        [
            "*some.yaml::wrong*",
            "asked:   green coat",
            "wanted:  contains 'zebra'",
            "note:    Since the zoo.",
            "case:*:3",
        ]
    )
    assert "Traceback" not in ran.stdout.str()
    one = pytester.runpytest_inprocess(*_PLUGIN, "-k", "easy", *given)
    one.assert_outcomes(passed=1, deselected=3)


def test_a_model_may_be_named_apart_and_own_tests_run_beside(
    result: RunResult, cases: Path, pytester: pytest.Pytester
) -> None:
    own = pytester.makepyfile(test_own="def test_own(): pass")
    apart = ["--tunewright-gold", str(cases), "--tunewright-model", "colours@1"]
    given = [*apart, "--tunewright-workspace", str(result.workspace), "-k", "easy or test_own"]
    pytester.runpytest_inprocess(*_PLUGIN, str(own), *given).assert_outcomes(passed=2, deselected=3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tunewright-gold", "{cases}"], "names no model"),
        (["--tunewright-gold", "{cases}", "a", "b"], "names 2 models: a, b"),
        (["--tunewright-gold", "nowhere", "a"], "nowhere is no folder"),
    ],
)
def test_wrong_options_are_refused(words: list[str], said: str, cases: Path, pytester: pytest.Pytester) -> None:
    ran = pytester.runpytest_inprocess(*_PLUGIN, *(word.format(cases=cases) for word in words))
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    ran.stderr.fnmatch_lines([f"*{said}*"])


def test_a_wrong_case_stops_pytest_with_its_line(cases: Path, pytester: pytest.Pytester) -> None:
    (cases / "bad.yaml").write_text("- input: a\n  asert: {contains: b}\n")
    ran = pytester.runpytest_inprocess(*_PLUGIN, "--tunewright-gold", str(cases), "colours")
    assert ran.ret == pytest.ExitCode.INTERRUPTED
    ran.stdout.fnmatch_lines(["*bad.yaml:2*asert*"])


def test_an_unknown_release_is_said_plainly(result: RunResult, cases: Path, pytester: pytest.Pytester) -> None:
    given = ["--tunewright-gold", str(cases), "colors", "--tunewright-workspace", str(result.workspace)]
    ran = pytester.runpytest_inprocess(*_PLUGIN, *given)
    ran.stdout.fnmatch_lines(["*'colors' is unknown*Did you mean 'colours'*"])
    assert "Traceback" not in ran.stdout.str()


def test_without_the_option_nothing_is_imported() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, tunewright.cli.pytest_gold; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(Path(tw.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = said.stdout.split()
    assert [name for name in loaded if name.startswith("tunewright.")] == [
        "tunewright.cli",
        "tunewright.cli.pytest_gold",
    ]
    assert not {"numpy", "pydantic", "typer", "yaml"} & set(loaded)


def test_the_challenger_set_is_measured_and_told_apart(result: RunResult) -> None:
    apart = result.evaluation["challenger"]
    assert apart["n"] == 2
    assert set(apart) >= {"base", "tuned"}
    assert result.evaluation["n"] == 24
    page = result.report.read_text(encoding="utf-8")
    assert "On the challenger set" in page
    workspace = tw.Workspace.open(result.workspace)
    stored = workspace.artifact(workspace.find_run(result.run).manifest["stages"]["evaluate"]["answers"], "answers")
    kept = load_answers(stored.path / "challenger")
    assert [answer.reference for answer in kept["tuned"].answers] == ["red", "blue"]
    shown = challenger_lines(result.evaluation)
    assert shown[0].startswith("On the challenger set (2 rows): ")
    assert ", the base " in shown[0]


def test_drawn_answers_are_retried_and_flakes_are_told(
    result: RunResult, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    # One of 259 bytes is drawn first: whether it is an ASCII letter changes from try to try.
    (folder / "case.yaml").write_text("{name: letter, input: red apple, assert: {matches: '^[a-z]'}, retries: 20}\n")
    words = ["eval", "gold", folder, "colours", "--temperature", "1000", "--workspace", result.workspace, "--json"]
    once, again = tunewright(*words), tunewright(*words)
    (outcome,) = once.document["outcomes"]
    assert (outcome["status"], outcome["flaky"]) == ("passed", True)
    assert 1 < outcome["attempts"] <= 21
    assert once.document == again.document
    given = ["--tunewright-gold", str(folder), "colours", "--tunewright-workspace", str(result.workspace)]
    ran = pytester.runpytest_inprocess(*_PLUGIN, *given, "--tunewright-temperature", "1000")
    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["*flaky gold tests*", f"case.yaml::letter: passed at try {outcome['attempts']}"])
