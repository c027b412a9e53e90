"""Each wrong input of a newcomer's first hour: exit code 2, one clear error, and a workspace that still works."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Outcome, tunewright
from tests.lifecycle.world import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of one's own, whose workspace is a `.tunewright` in it."""
    monkeypatch.delenv("TUNEWRIGHT_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(outcome: Outcome, *words: str) -> None:
    """Asserts exit code 2, and one error on stderr that holds these words and no traceback."""
    assert outcome.code == 2, outcome
    assert outcome.err.count("Error:") == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome.err
    assert outcome.out == ""


def test_a_recipe_that_is_not_there(here: Path) -> None:
    refused(tunewright("run", "nothing.yaml"), "nothing.yaml", "does not exist", "tunewright init --from")
    assert not (here / ".tunewright").exists()


def test_a_recipe_with_a_typo(world: Path, here: Path) -> None:
    broken = here / "recipe.yaml"
    broken.write_text(world.read_text().replace("epochs:", "epoch:"))
    line = next(n for n, text in enumerate(broken.read_text().splitlines(), 1) if "epoch:" in text)
    refused(tunewright("run", broken), f"recipe.yaml:{line}", "'train.epoch' is unknown", "Did you mean 'epochs'?")


def test_a_recipe_that_is_no_yaml(here: Path) -> None:
    (here / "recipe.yaml").write_text("name: [")
    refused(tunewright("recipe", "check", "recipe.yaml"), "recipe.yaml:1", "not valid YAML")


def test_an_unknown_field_in_set(world: Path, here: Path) -> None:
    refused(tunewright("run", world, "--set", "train.epoch=3"), "train.epoch", "Did you mean 'epochs'?")


def test_a_missing_data_file_leaves_nothing_behind(world: Path, here: Path) -> None:
    refused(tunewright("run", world, "--set", "data.train=none.csv"), "none.csv", "does not exist")
    assert not (here / ".tunewright").exists()


def test_an_empty_file(world: Path, here: Path) -> None:
    (here / "empty.csv").touch()
    refused(tunewright("run", world, "--set", "data.train=empty.csv"), "empty.csv", "empty")


def test_a_broken_line_417(world: Path, here: Path) -> None:
    rows = ['{"text": "t %d", "label": "%s"}' % (row, "ab"[row % 2]) for row in range(500)]  # noqa: UP031
    rows[416] = '{"text": "cut in the mid'
    (here / "rows.jsonl").write_text("\n".join(rows))
    outcome = tunewright("run", world, "--set", "data.train=rows.jsonl", "--set", "data.max_unusable_share=0")
    refused(outcome, "rows.jsonl:417", "max_unusable_share")


def test_a_wrong_encoding(world: Path, here: Path) -> None:
    (here / "latin.csv").write_bytes(b"text,label\n" + b"".join(b"caf\xe9 %d,a\n" % row for row in range(90)))
    refused(tunewright("run", world, "--set", "data.train=latin.csv"), "latin.csv", "UTF-8")


def test_a_column_that_is_not_there(world: Path, here: Path) -> None:
    outcome = tunewright("run", world, "--set", 'data.template.user="{txt}"')
    refused(outcome, "'txt'", "Did you mean 'text'?")


def test_a_label_set_of_one(world: Path, here: Path) -> None:
    (here / "one.csv").write_text("text,label\n" + "".join(f"row {row},same\n" for row in range(90)))
    refused(tunewright("run", world, "--set", "data.train=one.csv"), "'same'", "two labels")


def test_an_unknown_model(world: Path, here: Path) -> None:
    outcome = tunewright("run", world, "--set", "base=smolm2-135m-instruct")
    refused(outcome, "'smolm2-135m-instruct' is unknown", "Did you mean 'smollm2-135m-instruct'?")


def test_a_model_too_large_for_memory(world: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.models.available.available_bytes", lambda: 1 << 20)
    refused(tunewright("run", world), "0.0 GB are free", "What would make it fit")


def test_a_success_that_will_not_be_measured_is_refused_before_training(world: Path, here: Path) -> None:
    outcome = tunewright("run", world, "--set", 'success={acuracy: ">= 0.9"}', "--json")
    assert outcome.code == 2
    assert outcome.document["error"]["where"] == "success.acuracy"
    assert "Did you mean 'accuracy'?" in outcome.document["error"]["hint"]
    assert "train: started" not in outcome.err


def test_an_unknown_release(here: Path, world: Path) -> None:
    refused(tunewright("chat", "nobody", "--message", "hi"), "There is no workspace here")
    assert not (here / ".tunewright").exists()


def test_nothing_to_resume(world: Path, here: Path) -> None:
    refused(tunewright("run", world, "--resume"), "no run of 'colours' to resume")


def test_measuring_what_is_not_trained(world: Path, here: Path) -> None:
    tunewright("data", "prepare", world)
    refused(tunewright("eval", world), "no trained run", "tunewright train")


def test_init_writes_over_nothing(here: Path) -> None:
    (here / "recipe.yaml").write_text("mine")
    refused(tunewright("init"), "exists already", "--force")
    assert (here / "recipe.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/full/file"), "DiskFullError", "No space is left"),
        (MemoryError(), "OutOfMemoryError", "memory is exhausted"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 bytes"), "OutOfMemoryError", "memory"),
    ],
)
def test_a_machine_at_its_limits(
    raised: Exception, kind: str, words: str, world: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise raised

    monkeypatch.setattr("tunewright.data.prepare.prepare", fail)
    outcome = tunewright("run", world, "--json")
    assert outcome.code == 2
    assert outcome.document["error"]["type"] == kind
    assert words in outcome.err
    monkeypatch.undo()
    monkeypatch.chdir(here)
    runs = tunewright("runs", "list", "--json").document
    assert [(run["status"], run["error"]["type"]) for run in runs] == [("failed", kind)]


def test_a_bug_is_exit_3_and_leaves_a_traceback_in_the_workspace(
    world: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("tunewright.data.prepare.prepare", fail)
    outcome = tunewright("run", world)
    assert outcome.code == 3
    assert "Traceback" not in outcome.err
    (log,) = (here / ".tunewright" / "logs").iterdir()
    assert str(log) in outcome.err
    assert "KeyError: 'a bug'" in log.read_text()
    assert "Traceback" in tunewright("run", world, "--debug").err


@pytest.mark.parametrize("arguments", [["frobnicate"], ["run"], ["run", "x.yaml", "--nothing"]])
def test_a_wrong_command_line(arguments: list[str], here: Path) -> None:
    assert tunewright(*arguments).code == 2
    outcome = tunewright(*arguments, "--json")
    assert outcome.code == 2
    assert outcome.document["error"]["type"] == "UsageError"
