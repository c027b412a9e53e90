"""Commands that are printed must work when pasted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tunewright.base.errors import TrainingDivergedError
from tunewright.cli.arguments import fill_in_resume
from tunewright.cli.next_steps import again, command, lower_rate


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TUNEWRIGHT_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An executable called tunewright, by which this process was started."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "tunewright"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "run"])
    return program


def test_on_the_path_the_bare_name_will_do(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = installed(here / "bin", monkeypatch)
    monkeypatch.setenv("PATH", str(program.parent))
    assert command("chat", "x") == "tunewright chat x"


def test_off_the_path_the_program_is_named_as_it_was_started(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(here / ".venv" / "bin", monkeypatch)
    monkeypatch.setenv("PATH", "/nowhere")
    assert command("chat", "x") == ".venv/bin/tunewright chat x"
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    assert command("chat", "x") == f"{here}/.venv/bin/tunewright chat x"


def test_a_way_round_is_made_straight(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = installed(here / "bin", monkeypatch)
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [f"../bin/{program.name}"])
    assert command("run") == f"{here}/bin/tunewright run"


def test_another_tunewright_on_the_path_is_not_this_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = installed(here / "other", monkeypatch)
    installed(here / "mine", monkeypatch)
    monkeypatch.setenv("PATH", str(other.parent))
    assert command("run") == "mine/tunewright run"


def test_a_workspace_is_named_only_where_it_would_not_be_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(here / "bin", monkeypatch)
    monkeypatch.setenv("PATH", str(here / "bin"))
    (here / ".tunewright").mkdir()
    assert command("chat", "x", workspace=here / ".tunewright") == "tunewright chat x"
    line = command("chat", "x", workspace=here / "my space")
    assert line == "tunewright chat x --workspace 'my space'"
    assert shlex.split(line)[-1] == "my space"


def test_asking_where_a_workspace_would_be_makes_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(here / "bin", monkeypatch)
    command("chat", "x", workspace=here / "elsewhere")
    assert not (here / ".tunewright").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "r.yaml"], "train r.yaml --from-checkpoint 2026 --set train.learning_rate=5e-05"),
        (
            ["run", "r.yaml", "--set", "train.learning_rate=1e-4", "--set", "a=1", "--resume", "--json"],
            "run r.yaml --set a=1 --json --from-checkpoint 2026 --set train.learning_rate=5e-05",
        ),
        (
            ["run", "--from-checkpoint", "old", "r.yaml", "--set=train.learning_rate=3", "--resume=x"],
            "run r.yaml --from-checkpoint 2026 --set train.learning_rate=5e-05",
        ),
    ],
)
def test_after_a_divergence_it_goes_on_at_half_the_rate(
    arguments: list[str], expected: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(here / "bin", monkeypatch)
    monkeypatch.setenv("PATH", str(here / "bin"))
    error = TrainingDivergedError("what", learning_rate=1e-4, has_checkpoint=True)
    error.run = "2026"
    assert lower_rate(arguments, error) == f"tunewright {expected}"
    error.has_checkpoint = False
    assert lower_rate(arguments, error) == f"tunewright {expected.replace(' --from-checkpoint 2026', '')}"
    assert lower_rate(["demo"], error) == lower_rate([], error) == ""


def test_again_is_the_same_command_with_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(here / "bin", monkeypatch)
    monkeypatch.setenv("PATH", str(here / "bin"))
    assert again(["run", "r.yaml", "--set", "a=1"], "20260101") == "tunewright run r.yaml --set a=1 --resume 20260101"
    assert again(["run", "--resume", "r.yaml"], "new") == "tunewright run r.yaml --resume new"
    assert again(["run", "r.yaml", "--resume", "old"], "new") == "tunewright run r.yaml --resume new"
    assert again(["demo"], "new") == "tunewright demo --resume new"
    assert again(["eval", "r.yaml"], "new") == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run", "r.yaml", "--resume"], ["run", "r.yaml", "--resume", "latest"]),
        (["run", "--resume", "r.yaml"], ["run", "--resume", "latest", "r.yaml"]),
        (["run", "r.yaml", "--resume", "--json"], ["run", "r.yaml", "--resume", "latest", "--json"]),
        (["run", "r.yaml", "--resume", "2026"], ["run", "r.yaml", "--resume", "2026"]),
        (["run", "r.yaml"], ["run", "r.yaml"]),
    ],
)
def test_resume_may_stand_alone(given: list[str], expected: list[str]) -> None:
    assert fill_in_resume(given) == expected
