"""`data reveal`: the way back from a redacted file, with the key alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import tunewright
from tests.data.steps.frames import frame_of
from tunewright.data.steps.redact import Config, apply

TEXT = "Zorvath Lindqvister called about card 4111 1111 1111 1111."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a key, a vault, a redacted file and its log."""
    monkeypatch.delenv("TUNEWRIGHT_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "redact.key").write_text(bytes(range(32)).hex(), encoding="utf-8")
    config = Config(columns=("t",), replace="pseudonym", key_file="redact.key", vault="redact.vault")
    result = apply(frame_of(t=[TEXT]), config)
    row = {"t": result.frame["t"][0]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (tmp_path / "edits.txt").write_text(result.edits["before"][0] + "\n", encoding="utf-8")
    assert "Zorvath" not in (tmp_path / "rows.jsonl").read_text() + (tmp_path / "edits.txt").read_text()
    return tmp_path


def test_the_way_back(here: Path) -> None:
    done = tunewright("data", "reveal", "rows.jsonl", "--key-file", "redact.key")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"t": TEXT}
    assert "2 pseudonyms" in done.err
    done = tunewright("data", "reveal", "edits.txt", "--key-file", "redact.key", "-o", "plain.txt", "--json")
    assert done.document == {
        "file": "edits.txt", "output": "plain.txt", "pseudonyms": 0, "sealed": 1, "unknown": []
    }  # fmt: skip
    assert (here / "plain.txt").read_text(encoding="utf-8") == f"{TEXT}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rows.jsonl",), "TUNEWRIGHT_KEY holds none"),
        (("rows.jsonl", "--key-file", "absent.key"), "cannot be read"),
        (("rows.jsonl", "--key-file", "other.key"), "another key"),
        (("absent.jsonl", "--key-file", "redact.key"), "not there"),
        (("rows.jsonl", "--key-file", "redact.key", "--json"), "--output"),
        (("rows.jsonl", "--key-file", "redact.key", "--vault", "absent.vault"), "no vault here"),
    ],
)
def test_refused(here: Path, arguments: tuple[str, ...], words: str) -> None:
    (here / "other.key").write_text(bytes(range(1, 33)).hex(), encoding="utf-8")
    done = tunewright("data", "reveal", *arguments)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_help_shows_an_example() -> None:
    done = tunewright("data", "reveal", "--help")
    assert "tunewright data reveal answers.jsonl" in " ".join(done.out.split())
