from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest

from tests.data.quality.made import view_of
from tunewright.base.errors import InputError, TunewrightError, UnknownNameError
from tunewright.base.events import Event, Stage
from tunewright.base.plugins import PluginConfig
from tunewright.data.quality import report
from tunewright.data.quality.inspection import Inspection, NotRun, Verdict


def inspection(verdict: Verdict) -> Inspection:
    return Inspection("T", 1, "rows", verdict, "F.", "M.", numbers={"rows": 1})


class Made:
    """Plug-ins made on the spot: a name and what it answers."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.answers))

    def module(self, name: str) -> SimpleNamespace:
        if name not in self.answers:
            raise UnknownNameError("inspection", name, self.names())
        return SimpleNamespace()

    def config(self, name: str) -> type[PluginConfig]:
        class Config(PluginConfig):
            name: Literal["x"] = "x"

        return Config

    def call(self, name: str, function: str, *arguments: Any) -> Any:
        return self.answers[name]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made(
        a=inspection("good"), b=None, c=inspection("act"), d=NotRun("no encoder", "Get it."), e=inspection("look")
    )
    monkeypatch.setattr(report, "INSPECTIONS", made)
    return made


def test_the_worst_first_and_what_was_not_measured_apart(plugins: Made) -> None:
    heard: list[Event] = []
    found = report.inspect(view_of([("a", "x")], listener=heard.append), path="a.csv")
    assert list(found.inspections) == ["c", "e", "a"]
    assert found.verdicts == {"act": ["c"], "look": ["e"], "good": ["a"]}
    told = found.as_json()
    assert told["not_run"] == {"d": {"reason": "no encoder", "advice": "Get it."}}
    assert told["c"]["rows"] == 1
    assert told["rows"] == 1
    stages = [event for event in heard if isinstance(event, Stage)]
    assert (stages[0].status, stages[-1].status) == ("started", "finished")
    assert [stage.note for stage in stages if stage.status == "progress"] == ["a", "b", "c", "d", "e"]


def test_what_several_lack_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks, other = NotRun("no encoder", "Get it."), NotRun("no model")
    monkeypatch.setattr(report, "INSPECTIONS", Made(a=lacks, b=other, c=NotRun("no encoder", "Get it.")))
    found = report.inspect(view_of([("a", "x")]), path="a.csv")
    assert found.lacking == [(lacks, ["a", "c"]), (other, ["b"])]


def test_one_that_was_asked_for_and_does_not_apply_is_an_error(plugins: Made) -> None:
    view = view_of([("a", "x")])
    assert list(report.inspect(view, path="a.csv", only=["a", "a"]).inspections) == ["a"]
    with pytest.raises(InputError, match="'b' does not apply"):
        report.inspect(view, path="a.csv", only=["a", "b"])
    with pytest.raises(UnknownNameError, match="'z' is unknown"):
        report.inspect(view, path="a.csv", only=["z"])


def test_an_inspection_may_not_hide_a_fact_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "INSPECTIONS", Made(rows=inspection("good")))
    with pytest.raises(TunewrightError, match="may not be called 'rows'"):
        report.inspect(view_of([("a", "x")]), path="a.csv")
