"""`eval task` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.evaluate.test_tasks import CHOICE, write
from tests.tiny import tiny_folder
from tunewright.cli.app import app


def test_a_task_is_measured_on_a_base(tmp_path: Path) -> None:
    base, path = tiny_folder(tmp_path / "base"), write(tmp_path, CHOICE)
    asked = ["eval", "task", str(base), str(path), "--workspace", str(tmp_path / "ws")]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["task"], found["n"]) == ("where", 4)
    assert 0.0 <= found["acc"]["low"] <= found["acc"]["value"] <= found["acc"]["high"] <= 1.0
    shown = CliRunner().invoke(app, asked)
    assert "acc_norm" in shown.stdout


def test_a_task_that_runs_code_exits_2(tmp_path: Path) -> None:
    path = write(tmp_path, CHOICE)
    path.write_text("process_docs: !function utils.go\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["eval", "task", "x", str(path), "--workspace", str(tmp_path / "ws")])
    assert done.exit_code == 2
    assert "!function" in done.output
