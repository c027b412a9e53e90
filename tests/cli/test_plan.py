"""`tunewright plan`: what people read, what machines read, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import tunewright
from tests.lifecycle.world import make_world
from tunewright.models import available, memory


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TUNEWRIGHT_HOME", raising=False)
    monkeypatch.delenv("TUNEWRIGHT_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    return make_world(tmp_path / "world", rows=120, train={"node_budget": 2048, "checkpointing": "none"})


def short_of_memory(world: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Leaves a little less memory free than a recipe takes beside the libraries."""
    total = tunewright("plan", world, "--json").document["options"][0]["peak_bytes"]
    beside = total - memory.PROCESS_BYTES
    monkeypatch.setattr(available, "available_bytes", lambda: round(memory.PROCESS_BYTES + share * beside))


def test_help_has_examples(world: Path) -> None:
    shown = tunewright("plan", "--help")
    assert shown.code == 0
    for option in ("--device", "--measure", "--fix", "--workspace", "--json", "--debug"):
        assert option in shown.out
    assert "Example: tunewright plan" in " ".join(shown.out.split())


def test_what_fits_is_exit_0_and_leaves_nothing_behind(world: Path, tmp_path: Path) -> None:
    shown = tunewright("plan", world)
    assert shown.code == 0, shown.err
    for words in ("84 rows to learn from", "activations", "(as it stands)", "full", "qlora", "16 bytes a parameter"):
        assert words in shown.out
    assert "✓ It fits." in shown.out
    assert not (tmp_path / ".tunewright").exists()


def test_it_fits_80_columns(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = tunewright(
        "plan", world, "--device", "h100-80gb", "--set", "base=meta-llama/Llama-2-7b-hf"
    ).out.splitlines()
    assert max(len(line.rstrip()) for line in lines if "/" not in line) <= 80
    assert any("Assumed: about 85 rows of 128 tokens" in line for line in lines)


def test_what_does_not_fit_is_exit_1_with_a_way_out(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short_of_memory(world, monkeypatch, 0.7)
    shown = tunewright("plan", world)
    assert shown.code == 1
    assert "✗ It does not fit. What would make it fit:" in shown.out
    assert "train.node_budget: " in shown.out
    document = tunewright("plan", world, "--json").document
    assert document["fits"] is False
    assert document["changes"][0]["fields"].keys() == {"train.node_budget"}


def test_fix_writes_the_change_and_then_it_fits(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write_text("# ours\n" + world.read_text())
    short_of_memory(world, monkeypatch, 0.7)
    before = world.read_text()
    shown = tunewright("plan", world, "--fix")
    assert shown.code == 0, shown.err
    assert "-  node_budget: 2048" in shown.out
    lines = world.read_text().splitlines()
    added = [line for line in lines if line not in before.splitlines()]
    assert len(added) == 1
    assert added[0].startswith("  node_budget: ")
    assert lines[0] == "# ours"
    assert tunewright("plan", world).code == 0
    assert tunewright("plan", world, "--fix", "--json").document["fixed"] is None


def test_fix_refuses_what_set_would_hide(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short_of_memory(world, monkeypatch, 0.7)
    before = world.read_text()
    shown = tunewright("plan", world, "--fix", "--set", "train.node_budget=4096")
    assert shown.code == 2
    assert "given with --set" in shown.err
    assert world.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "h100"], "Did you mean"),
        (["--device", "h100-80gb", "--measure"], "this machine only"),
        (["--set", "base=nobody/nothing"], "not on this machine"),
        (["--set", "data.train=none.csv"], "does not exist"),
        (["--workspace", "nowhere"], "no workspace"),
    ],
)
def test_wrong_input_is_exit_2(world: Path, arguments: list[str], words: str) -> None:
    shown = tunewright("plan", world, *arguments)
    assert shown.code == 2, shown
    assert words in shown.err
