from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

from tunewright.base import plugins
from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import Plugins

GREETING = """
from typing import Literal
from tunewright.base.plugins import PluginConfig

class Config(PluginConfig):
    name: Literal["{name}"] = "{name}"
    loud: bool = False

def greet(config, whom):
    return ("HELLO " if config.loud else "hello ") + whom
"""


@pytest.fixture
def greetings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """A package of plug-ins made on the spot."""
    package = f"greetings_{tmp_path.name}"
    (tmp_path / package).mkdir()
    for name in ("plain", "warm", "_shared"):
        (tmp_path / package / f"{name}.py").write_text(GREETING.format(name=name))
    (tmp_path / package / "folder").mkdir()
    (tmp_path / package / "folder" / "__init__.py").write_text("")
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / f"outside_{tmp_path.name}.py").write_text(GREETING.format(name="foreign"))
    monkeypatch.syspath_prepend(tmp_path)
    return Plugins("greeting", package)


def test_a_file_is_a_plugin_and_helpers_are_not(greetings: Plugins) -> None:
    assert greetings.names() == ("plain", "warm")
    assert greetings.call("warm", "greet", greetings.config("warm")(), "you") == "hello you"


def test_an_unknown_name_is_refused(greetings: Plugins) -> None:
    with pytest.raises(
        UnknownNameError, match=r"greeting 'worm' is unknown\. Did you mean 'warm'\? Known: plain, warm\."
    ):
        greetings.module("worm")


def test_settings_are_strict_and_frozen(greetings: Plugins) -> None:
    config = greetings.config("plain")
    with pytest.raises(ValidationError):
        config.model_validate({"lowd": True})
    with pytest.raises(ValidationError):
        config().loud = True  # type: ignore[attr-defined]


def test_an_entry_point_adds_one_from_outside(
    greetings: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint(name="foreign", value=f"outside_{tmp_path.name}", group=greetings.package)
    shadow = EntryPoint(name="plain", value="nowhere", group=greetings.package)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry, shadow] if group == greetings.package else [])
    assert greetings.names() == ("foreign", "plain", "warm")
    assert greetings.config("foreign").model_fields["name"].default == "foreign"
    assert greetings.module("plain").__name__ == f"{greetings.package}.plain", "one from outside hides none of ours"
