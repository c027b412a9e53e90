"""Sessions on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.reviewing.made import PRACTICE, session
from tunewright.base.errors import DataError, InputError, WorkspaceError
from tunewright.evaluate.reviewing.session import check_names, load, sessions


def test_the_same_settings_are_the_same_session(tmp_path: Path) -> None:
    first = session(tmp_path, training=PRACTICE)
    assert session(tmp_path, training=PRACTICE) == first  # its secret too
    others = [session(tmp_path), session(tmp_path, kind="rating"), session(tmp_path, seed=6)]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert set(sessions(first.folder.parent)) == {first.id, *(other.id for other in others)}
    assert load(first.folder.parent, first.id[:6]) == first


def test_what_is_not_there_or_broken_says_so(tmp_path: Path) -> None:
    made = session(tmp_path)
    folder = made.folder.parent
    with pytest.raises(WorkspaceError, match=f"No review session is called 'ffff'.*Known: {made.id}"):
        load(folder, "ffff" if not made.id.startswith("ffff") else "eeee")
    with pytest.raises(WorkspaceError, match="No review session"):
        load(folder, made.id[:2])  # too short to be meant
    with pytest.raises(WorkspaceError, match="no session yet"):
        load(tmp_path / "empty", "abcdef")
    (made.folder / "session.json").write_text('{"settings": {}}', "utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        load(folder, made.id)


@pytest.mark.parametrize(
    "name", ["", "..", "../anna", "a/b", "a\\b", ".anna", "anna\0", "an na", "x" * 41, "-anna", "anna\n"]
)
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a rater"):
        session(tmp_path).file_of(name)


def test_two_raters_have_two_names() -> None:
    check_names(["anna", "Beñ", "c_3-d"])
    with pytest.raises(InputError, match="Two raters have one name"):
        check_names(["anna", "Anna"])


def test_rows_are_dealt_to_those_who_are_named(tmp_path: Path) -> None:
    dealt = session(tmp_path, overlap=2, dealt_to=("anna", "ben", "carl"))
    assert dealt.file_of("ben").name == "ben.jsonl"
    with pytest.raises(InputError, match="dealt to anna, ben, carl, and not to 'dora'"):
        dealt.file_of("dora")
    with pytest.raises(InputError, match="cannot be seen by 4 of 3 raters"):
        session(tmp_path, overlap=4, dealt_to=("anna", "ben", "carl"))
