"""The example scripts run as they are, on a tiny model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lifecycle.world import make_world

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


def script(name: str, *arguments: str | Path, cwd: Path) -> str:
    """Runs a script in a process of its own; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "TUNEWRIGHT_HOME"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        cwd=cwd,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing leaks from the libraries
    return done.stdout


@pytest.mark.long
def test_quickstart(world: Path, tmp_path: Path) -> None:
    printed = script("quickstart.py", world, "train.epochs=2", cwd=tmp_path)
    assert "train …" in printed
    assert re.search(r"step 10 of \d+: loss \d", printed)
    assert re.search(r"tuned accuracy +\d\.\d{3} \(95 %", printed)
    assert Path(re.search(r"Report: (.+)", printed)[1]).exists()  # type: ignore[index]


@pytest.mark.long
def test_stages_one_at_a_time_and_again(world: Path, tmp_path: Path) -> None:
    printed = script("stages.py", world, cwd=tmp_path)
    assert "released as colours@1" in printed
    run = re.search(r"run (\S+) in", printed)
    assert run is not None
    again = script("stages.py", "--resume", run[1], world, cwd=tmp_path)
    assert again == printed
