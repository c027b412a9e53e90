from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from tunewright.base.errors import InputError
from tunewright.base.plugins import PROBES, PluginConfig
from tunewright.evaluate import Asked, Finding, Said, run_probes
from tunewright.evaluate.speaker import Conversation


class Config(PluginConfig):
    name: Literal["echo"] = "echo"
    calls: tuple[str, ...] = ("echo",)
    cases: int = 2


class Parrot:
    name = "tuned"

    def say(self, conversations: list[Conversation], *, max_new_tokens: int, listener: Any = None) -> list[Said]:
        return [Said(turns[-1].content) for turns in conversations]


@pytest.fixture
def echo() -> Iterator[None]:
    """A probe whose findings are called as its settings say."""
    module = ModuleType("tests.echo_probe")
    module.Config = Config  # type: ignore[attr-defined]
    module.probe = lambda config, asked: [  # type: ignore[attr-defined]
        Finding(name, name.title(), 0.5, config.cases, "lower", details={"said": asked.goal}) for name in config.calls
    ]
    sys.modules[module.__name__] = module
    places = PROBES._places
    places["echo"] = module.__name__
    yield
    del places["echo"], sys.modules[module.__name__]


def asked(told: list[Any] | None = None) -> Asked:
    listener = (lambda event: None) if told is None else told.append
    return Asked({"tuned": Parrot()}, {}, (), (), "text", "Answer.", 1, 100, Path("cache"), listener)


@pytest.mark.usefixtures("echo")
def test_findings_come_in_the_probes_order_and_progress_is_told() -> None:
    told: list[Any] = []
    found = run_probes([Config(calls=("b", "a")), Config(calls=("c",))], asked(told))
    assert [finding.name for finding in found] == ["b", "a", "c"]
    assert [(event.done, event.total) for event in told] == [(0, 2), (1, 2)]
    assert found[0].as_json() == {
        "name": "b",
        "title": "B",
        "value": 0.5,
        "n": 2,
        "better": "lower",
        "low": None,
        "high": None,
        "base": None,
        "meaning": "",
        "details": {"said": "Answer."},
    }


@pytest.mark.usefixtures("echo")
def test_two_findings_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="Two findings are called 'echo'"):
        run_probes([Config(), Config()], asked())


@pytest.mark.usefixtures("echo")
def test_a_finding_that_stands_on_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="stands on no case"):
        run_probes([Config(cases=0)], asked())
