"""The verb `worker`: its sizes, and that it ends when nothing is left to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tunewright.base.errors import InputError
from tunewright.cli.app import app
from tunewright.cli.worker import size_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("12GB", 12 * 10**9), ("512MiB", 512 << 20), ("1.5 g", 1_500_000_000), ("100", 100), ("2TiB", 2 << 40)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert size_of(text, "--memory") == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "GB", "1 2GB"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no size"):
        size_of(text, "--memory")


def test_it_ends_when_nothing_is_left_to_do(tmp_path: Path) -> None:
    asked = ["worker", "--workspace", str(tmp_path / "ws"), "--until-idle", "--memory", "2GB", "--json"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["what"].startswith(f"Working in {tmp_path / 'ws'}: 1 at a time, 2.0 GB together.")


def test_a_wrong_size_is_wrong_input(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["worker", "--workspace", str(tmp_path / "ws"), "--memory", "much"])
    assert result.exit_code == 2
