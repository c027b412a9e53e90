"""`models alias`: set, listed and taken away."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import tunewright
from tests.tiny import tiny_folder
from tunewright.lifecycle.serving.names import find_served
from tunewright.store import Workspace


def test_a_name_stands_for_a_model_until_it_is_taken_away(tmp_path: Path) -> None:
    base, home = tiny_folder(tmp_path / "base"), tmp_path / "ws"
    made = tunewright("models", "alias", "gpt-4o-mini", base, "--workspace", home)
    assert (made.code, made.out.split()) == (0, ["gpt-4o-mini", "stands", "for", f"{base}."])
    workspace = Workspace.open(home)
    assert find_served(workspace, "gpt-4o-mini").base == str(base)
    listed = tunewright("models", "list", "--json", "--workspace", home).document
    assert (listed["aliases"], listed["fine_tuned"]) == ({"gpt-4o-mini": str(base)}, [])
    assert "gpt-4o-mini" in tunewright("models", "list", "--workspace", home).out
    gone = tunewright("models", "alias", "gpt-4o-mini", "--remove", "--json", "--workspace", home)
    assert gone.document == {"name": "gpt-4o-mini", "target": None, "removed": True}
    assert tunewright("models", "list", "--json", "--workspace", home).document["aliases"] == {}


def test_wrong_aliases_change_nothing(tmp_path: Path) -> None:
    base, home = tiny_folder(tmp_path / "base"), tmp_path / "ws"
    for words in (
        ("gpt-4o-mini",),
        ("gpt-4o-mini", str(base), "--remove"),
        ("gpt-4o-mini", "nothing"),
        ("gpt-4o-mini", str(tmp_path / "gone")),
        (" ", str(base)),
        ("gpt-4o-mini", "--remove"),
    ):
        assert tunewright("models", "alias", *words, "--workspace", home).code == 2
    assert tunewright("models", "list", "--json", "--workspace", home).document["aliases"] == {}
