"""Cases run against scripted models and judges."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import serving
from tests.evaluate.judging.bench import grading
from tunewright.base.errors import InputError
from tunewright.evaluate.gold.cases import Case, Placed, Wanted
from tunewright.evaluate.gold.checks import misses
from tunewright.evaluate.gold.run import GoldRun, Outcome, run_cases
from tunewright.evaluate.judging.settings import JudgeSettings


@dataclass
class Scripted:
    """A model that says what it is told, and notes how often it was asked."""

    say: Callable[[str, int], str]
    draws: bool = False
    name: str = "model@2"
    batches: list[int] = field(default_factory=list)

    def answer(self, cases: Sequence[Case], attempt: int) -> list[str]:
        self.batches.append(len(cases))
        return [self.say(case.asked, attempt) for case in cases]


def _placed(*cases: dict[str, Any]) -> list[Placed]:
    return [
        Placed(f"cases.yaml::{number}", Case.model_validate({"input": f"q{number}", **case}), f"cases.yaml:{number}")
        for number, case in enumerate(cases, 1)
    ]


def _run(cases: list[Placed], model: Scripted, cache: Path, **more: Any) -> list[Outcome]:
    return run_cases(cases, GoldRun(model, cache, **more))


@pytest.mark.parametrize(
    ("wanted", "answer", "missed"),
    [
        ({"equals": "yes"}, " yes\n", ""),
        ({"equals": "yes"}, "Yes", "equals 'yes'"),
        ({"equals": 12}, "12", ""),
        ({"equals": {"a": 1, "b": None}}, '{"b": null, "a": 1.0}', ""),
        ({"equals": {"a": 1}}, '{"a": true}', "'a' is true"),
        ({"equals": {"a": 1, "b": 2}}, '{"a": 1, "c": 3}', "'b' is missing; 'c' is too much"),
        ({"equals": {"a": 1}}, "a: 1", "the answer is no JSON"),
        ({"contains": ["a", "b"]}, "abc", ""),
        ({"contains": ["a", "z"]}, "abc", "contains 'z'"),
        ({"not_contains": "refund"}, "no refund", "does not contain 'refund'"),
        ({"matches": r"^\d{4}$"}, "2025", ""),
        ({"matches": r"^\d{4}$"}, "in 2025", r"matches /^\d{4}$/"),
        ({"matches_schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', ""),
        ({"matches_schema": {"type": "object", "required": ["a"]}}, "{}", "the whole: 'a' is a required property"),
        ({"matches_schema": {"properties": {"n": {"enum": [1]}}}}, '{"n": 2}', "n: 2 is not one of [1]"),
        ({"matches_schema": {"$ref": "http://127.0.0.1:9/x"}}, "1", "refers to what is not in it"),
        ({"matches_schema": {"type": "number"}}, "", "the answer is no JSON"),
    ],
)
def test_each_assertion(wanted: dict[str, Any], answer: str, missed: str) -> None:
    found = misses(Wanted.model_validate(wanted), answer)
    assert bool(found) == bool(missed)
    assert missed in " ".join(f"{miss.wanted} ({miss.why})" for miss in found)


def test_all_cases_are_answered_in_one_batch_and_say_what_was_missed(tmp_path: Path) -> None:
    model = Scripted(lambda asked, _: f"answer to {asked}")
    cases = _placed({"assert": {"contains": "q1"}}, {"assert": {"contains": "zebra"}, "note": "Since the fire."})
    passed, failed = _run(cases, model, tmp_path)
    assert model.batches == [2]
    assert (passed.status, failed.status) == ("passed", "failed")
    lines = failed.explain().splitlines()
    assert lines == [
        "asked:   q2",
        "came:    answer to q2",
        "wanted:  contains 'zebra'",
        "note:    Since the fire.",
        "case:    cases.yaml:2",
    ]


def test_a_failure_that_is_announced_and_one_that_does_not_come(tmp_path: Path) -> None:
    cases = _placed({"assert": {"contains": "z"}, "xfail": "Later."}, {"assert": {"contains": "q"}, "xfail": "Later."})
    known, fixed = _run(cases, Scripted(lambda asked, _: asked), tmp_path)
    assert (known.status, known.ok) == ("expected_failure", True)
    assert (fixed.status, fixed.ok) == ("unexpected_pass", False)


def test_a_model_that_draws_is_asked_again_and_the_flake_is_told(tmp_path: Path) -> None:
    model = Scripted(lambda asked, attempt: f"{asked} at {attempt}", draws=True)
    cases = _placed(
        {"assert": {"contains": "at 0"}},
        {"assert": {"contains": "at 2"}, "retries": 3},
        {"assert": {"contains": "at 9"}, "retries": 1},
    )
    at_once, flake, never = _run(cases, model, tmp_path)
    assert model.batches == [3, 2, 1]
    assert (at_once.flaky, at_once.attempts) == (False, 1)
    assert (flake.flaky, flake.attempts, flake.status) == (True, 3, "passed")
    assert (never.flaky, never.attempts, never.status) == (False, 2, "failed")


def test_a_greedy_model_is_asked_once(tmp_path: Path) -> None:
    model = Scripted(lambda asked, _: asked)
    _run(_placed({"assert": {"contains": "z"}, "retries": 3}), model, tmp_path, retries=5)
    assert model.batches == [1]


def test_what_the_champion_misses_too_is_forgiven(tmp_path: Path) -> None:
    said = {"q1": "a", "q2": "a", "q3": "a b"}
    theirs = {"q1": "x", "q2": "b", "q3": ""}
    champion = Scripted(lambda asked, _: theirs[asked], name="model@1")
    case = {"assert": {"contains": ["a", "b"], "not_worse_than": "champion"}}
    both, only_new, fine = _run(
        _placed(case, case, case), Scripted(lambda asked, _: said[asked]), tmp_path, rival_of=lambda _: champion
    )
    assert (both.status, [miss.wanted for miss in both.forgiven]) == ("passed", ["contains 'b'"])
    assert only_new.status == "failed"
    assert "model@1 answered: b" in only_new.explain()
    assert (fine.status, fine.forgiven) == ("passed", ())


def test_without_a_champion_a_case_stands_for_itself(tmp_path: Path) -> None:
    case = {"assert": {"contains": "z", "not_worse_than": "champion"}}
    (outcome,) = _run(_placed(case), Scripted(lambda asked, _: asked), tmp_path)
    assert (outcome.status, outcome.rival) == ("failed", None)


def test_a_judge_decides_and_its_reason_is_shown(tmp_path: Path) -> None:
    judged = {"judged": {"rubric": "clarity", "at_least": 4}}
    cases = _placed({"assert": judged}, {"assert": judged}, {"assert": {**judged, "not_worse_than": "champion"}})
    said = {"q1": "aaaa", "q2": "aa", "q3": "aaa"}
    champion = Scripted(lambda *_: "aa", name="model@1")
    with serving(grading(len)) as server:
        judge = JudgeSettings.model_validate({"endpoint": {"url": server.url, "model": "m"}})
        model = Scripted(lambda asked, _: said[asked])
        good, bad, better = _run(cases, model, tmp_path, judge=judge, rival_of=lambda _: champion)
    assert (good.status, bad.status, better.status) == ("passed", "failed", "passed")
    assert "judged on clarity: 4 or more (it got 2. So it is.)" in bad.explain()


def test_a_verdict_that_does_not_come_is_no_pass(tmp_path: Path) -> None:
    judged = {"assert": {"judged": {"rubric": "clarity", "at_least": 1}, "not_worse_than": "champion"}}

    def judge(body: dict[str, Any]) -> str:
        return "no idea" if "odd" in json.dumps(body) else json.dumps({"reason": "Fine.", "score": 5})

    cases = _placed(*[judged] * 10)
    model = Scripted(lambda asked, _: "odd" if asked == "q3" else "fine")
    champion = Scripted(lambda *_: "fine", name="model@1")
    with serving(judge) as server:
        settings = JudgeSettings.model_validate({"endpoint": {"url": server.url, "model": "m"}})
        outcomes = _run(cases, model, tmp_path, judge=settings, rival_of=lambda _: champion)
    assert [outcome.status for outcome in outcomes].count("passed") == 9
    assert "the judge gave no verdict" in outcomes[2].explain()


def test_a_case_that_wants_a_judge_and_has_none_is_refused(tmp_path: Path) -> None:
    case = {"assert": {"judged": {"rubric": "clarity", "at_least": 1}}}
    with pytest.raises(InputError, match="Nobody is named who judges"):
        _run(_placed(case), Scripted(lambda asked, _: asked), tmp_path)
