from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.processes import ended, program
from tunewright.base.errors import WorkspaceError
from tunewright.store import Workspace

OPEN = """
import sys
from tunewright.store import Workspace
workspace = Workspace.open(sys.argv[1])
workspace.start_run("demo", "run", {})
print(len(workspace.runs()))
"""


def test_a_given_folder_is_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "here")
    assert workspace.root == tmp_path / "here"
    assert workspace.cache == tmp_path / "here" / "cache"
    assert (workspace.root / ".gitignore").read_text() == "*\n"


@pytest.mark.sqlite
def test_the_database_is_a_file_in_the_folder(workspace: Workspace) -> None:
    assert (workspace.root / "tunewright.db").is_file()


def test_without_a_folder_the_nearest_one_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "project" / "deep" / "down"
    below.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    made = Workspace.open()
    assert made.root == tmp_path / "project" / ".tunewright"
    monkeypatch.chdir(below)
    assert Workspace.open().root == made.root


def test_the_environment_names_workspace_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "cache"))
    workspace = Workspace.open()
    assert (workspace.root, workspace.cache) == (tmp_path / "home", tmp_path / "cache")
    assert Workspace.open(tmp_path / "given").root == tmp_path / "given"


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    workspace = Workspace.open(tmp_path / "workspace")
    workspace.start_run("demo", "run", {})
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (workspace.root / "tunewright.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [("nonsense", "not a database URL"), ("martian://host/name", "not a database URL")],
)
def test_a_wrong_database_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", url)
    with pytest.raises(WorkspaceError, match=said):
        Workspace.open(tmp_path / "workspace")


def test_none_is_made_where_none_may_be(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="There is no workspace here"):
        Workspace.open(tmp_path / "absent", create=False)
    assert not (tmp_path / "absent").exists()
    Workspace.open(tmp_path / "present")
    Workspace.open(tmp_path / "present", create=False)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WorkspaceError, match="A file stands where"):
            Workspace.open(path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    folder = open_folder / "read-only"
    Workspace.open(folder).close()
    code = """
    import os, sys
    from tunewright.base.errors import WorkspaceError
    from tunewright.store import Workspace

    if os.geteuid() == 0:  # the superuser may write anywhere: go on as nobody
        os.setgid(65534)
        os.setuid(65534)
    try:
        Workspace.open(sys.argv[1])
    except WorkspaceError as error:
        print(error)
    """
    folder.chmod(0o555)
    try:
        said = ended(program(code, folder))
    finally:
        folder.chmod(0o755)
    assert said.startswith(f"{folder}: This workspace folder cannot be written. Get write access to it")


def test_a_newer_schema_is_refused(workspace: Workspace) -> None:
    with workspace.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(WorkspaceError, match=r"newer tunewright made this workspace \(schema 9999"):
        Workspace.open(workspace.root)


@pytest.mark.sqlite
def test_a_damaged_database_is_said_to_be(workspace: Workspace) -> None:
    workspace.close()
    for name in ("tunewright.db-wal", "tunewright.db-shm"):
        (workspace.root / name).unlink(missing_ok=True)
    (workspace.root / "tunewright.db").write_bytes(b"this is no database, and long enough to be one" * 100)
    with pytest.raises(WorkspaceError, match="database is damaged"):
        Workspace.open(workspace.root)


def test_processes_may_make_one_workspace_at_once(tmp_path: Path) -> None:
    together = [program(OPEN, tmp_path / "workspace") for _ in range(3)]
    seen = sorted(int(ended(process)) for process in together)
    assert seen[-1] == 3
    assert len(Workspace.open(tmp_path / "workspace").runs()) == 3


@pytest.mark.sqlite  # the bar is that of a file; a server takes what its network takes
def test_opening_again_is_quick_and_takes_no_alembic(workspace: Workspace) -> None:
    code = """
    import sys, time
    from tunewright.store import Workspace
    start = time.perf_counter()
    Workspace.open(sys.argv[1])
    took = time.perf_counter() - start
    assert "alembic" not in sys.modules
    print(took)
    """
    assert min(float(ended(program(code, workspace.root))) for _ in range(2)) < 0.1


def test_old_leftovers_are_removed_and_young_ones_kept(workspace: Workspace) -> None:
    folder = workspace.root / "artifacts" / "dataset"
    day = 24 * 3600
    for name, age_s in (("old", 2 * day), ("young", 3600)):
        leftover = folder / f".put.{name}.part"
        leftover.mkdir(parents=True)
        (leftover / "rows.txt").write_text("half")
        for entry in (leftover / "rows.txt", leftover):
            os.utime(entry, (time.time() - age_s,) * 2)
    # An old folder in which a process still writes is no leftover.
    busy = folder / ".put.busy.part"
    busy.mkdir()
    (busy / "rows.txt").write_text("growing")
    os.utime(busy, (time.time() - 2 * day,) * 2)
    Workspace.open(workspace.root)
    assert sorted(entry.name for entry in folder.iterdir()) == [".put.busy.part", ".put.young.part"]
