"""The store on a real PostgreSQL: all of its tests, and what befalls a server alone (`make test-postgres`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from tests.store.postgres import Postgres, new_schema
from tests.store.processes import ended, program
from tunewright.base.errors import DatabaseAwayError, DiskFullError, InputError, NoSuchRecordError, WorkspaceError
from tunewright.base.events import Message
from tunewright.store import Claims, Workspace, database, tables

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def workspace(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    server.start()
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", new_schema(server.url))
    opened = Workspace.open(tmp_path / "workspace")
    yield opened
    opened.close()
    server.start()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.3)


def later(act: Callable[[], None], after_s: float) -> threading.Timer:
    timer = threading.Timer(after_s, act)
    timer.start()
    return timer


def test_the_stores_own_tests_pass(server: Postgres) -> None:
    tests = [sys.executable, "-m", "pytest", "-m", "not postgres", "-p", "no:cacheprovider", "tests/store"]
    done = subprocess.run(
        tests, cwd=ROOT, env={**os.environ, "TUNEWRIGHT_TEST_POSTGRES": server.url}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_an_upgrade_waits_for_another_machines(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two folders are two machines: the file that locks one of them says nothing to the other.
    code = "import sys; from tunewright.store import Workspace; Workspace.open(sys.argv[1]); print('open')"
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", new_schema(server.url))
    assert [ended(each) for each in [program(code, tmp_path / name) for name in ("a", "b")]] == ["open", "open"]


def test_what_is_cut_off_is_undone_said_and_works_later(
    workspace: Workspace, server: Postgres, impatient: None
) -> None:
    workspace.add_record("job", {"n": 1}, id="before")

    def cut_off() -> None:
        with workspace.database.write() as connection:
            values = {"kind": "job", "id": "half", "parent": "", "project": "", "created_at": 1, "body": {}}
            connection.execute(insert(tables.records).values(**values))
            server.stop()
            connection.execute(select(tables.records))

    with pytest.raises(
        DatabaseAwayError, match=r"connection to the workspace database was lost.*Try again once it is up"
    ):
        cut_off()
    with pytest.raises(DatabaseAwayError, match="cannot be made"):
        workspace.record("job", "before")
    server.start()
    assert workspace.record("job", "before").body == {"n": 1}
    with pytest.raises(NoSuchRecordError):
        workspace.record("job", "half")
    assert workspace.add_record("job", {}, id="after").seq > 0


@pytest.mark.parametrize("how", ["INT", "QUIT"])  # an orderly restart, and a crash
def test_a_restart_is_waited_out(workspace: Workspace, server: Postgres, how: str) -> None:
    workspace.add_record("job", {"n": 0}, id="job")
    server.stop(how)
    starting = later(server.start, 1.0)
    assert workspace.change_record("job", "job", lambda body: {"n": body["n"] + 1}).body == {"n": 1}
    starting.join()
    assert workspace.record("job", "job").body == {"n": 1}


def test_a_runs_events_outlast_a_restart(workspace: Workspace, server: Postgres, impatient: None) -> None:
    run = workspace.start_run("demo", "run", {})
    run.emit(Message("before"))
    server.stop()
    run.emit(Message("meanwhile"))
    with pytest.raises(DatabaseAwayError):
        run.flush()
    server.start()
    run.emit(Message("after"))
    assert run.events() == [Message("before"), Message("meanwhile"), Message("after")]


CLAIM = """
import sys, time
from pathlib import Path
from tunewright.base.errors import DatabaseAwayError, LeaseLostError
from tunewright.store import Claims, Workspace

workspace = Workspace.open(sys.argv[1])
claims = Claims(workspace, sys.argv[2], lease_s=1.0)
while True:
    try:
        task = claims.claim(["job"])
        if task is None:
            if not workspace.tasks(states=["queued", "running"]):
                break
            time.sleep(0.05)
            continue
        time.sleep(0.02)
        claims.finish(claims.renew(task))
        print(task.id, task.claim, flush=True)
    except (DatabaseAwayError, LeaseLostError) as error:
        print(type(error).__name__, file=sys.stderr)
"""


def test_each_task_goes_to_one_of_several_processes_over_a_restart(workspace: Workspace, server: Postgres) -> None:
    names = {f"job-{number}" for number in range(60)}
    for name in sorted(names):
        workspace.enqueue("job", name)
    workers = [program(CLAIM, workspace.root, name) for name in ("a", "b", "c")]
    while len(workspace.tasks(states=["done"])) < 15:
        time.sleep(0.02)
    server.stop()
    time.sleep(0.5)
    server.start()
    said = [line.split() for worker in workers for line in ended(worker).splitlines()]
    assert {task.id for task in workspace.tasks(states=["done"])} == names
    claims = Counter((name, claim) for name, claim in said)
    assert max(claims.values()) == 1  # no claim was ever two workers'
    # A finish whose answer was cut off may have gone unheard, on each of the three workers once.
    assert len({name for name, _ in claims}) >= len(names) - 3


def test_a_killed_workers_task_goes_on(workspace: Workspace) -> None:
    workspace.enqueue("job", "a")
    code = """
    import os, signal, sys
    from tunewright.store import Claims, Workspace
    Claims(Workspace.open(sys.argv[1]), "killed").claim(["job"])
    os.kill(os.getpid(), signal.SIGKILL)
    """
    assert program(code, workspace.root).wait(60) == -9
    observer = Claims(workspace, "observer", lease_s=0.2)
    assert observer.claim(["job"]) is None
    time.sleep(0.25)
    task = observer.claim(["job"])
    assert task is not None
    assert (task.owner, task.attempts) == ("observer", 2)


def test_a_writer_that_stands_still_is_said_to_be_in_the_way(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    workspace.close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    with workspace.database.write(), pytest.raises(DatabaseAwayError, match="Another transaction was in the way"):
        workspace.add_record("job", {}, id="a")
    workspace.add_record("job", {}, id="a")


def test_a_writer_that_stands_still_for_long_is_cut_off(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.close()
    monkeypatch.setattr(database, "_IDLE_WRITER_S", 0.3)

    def stands_still() -> None:
        with workspace.database.write() as connection:
            time.sleep(0.8)
            connection.execute(select(tables.records))

    with pytest.raises(DatabaseAwayError):
        stands_still()
    workspace.add_record("job", {}, id="a")


def test_a_reader_sees_one_state(workspace: Workspace) -> None:
    count = text("SELECT count(*) FROM records")
    with workspace.database.read() as connection:
        assert connection.execute(count).scalar() == 0
        workspace.add_record("job", {}, id="a")
        assert connection.execute(count).scalar() == 0


def test_a_wrong_name_or_a_read_only_server_is_said(
    server: Postgres, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", server.url.replace("/postgres?", "/nowhere?"))
    with pytest.raises(WorkspaceError, match=r"refuses the connection.*does not exist.*TUNEWRIGHT_DATABASE_URL"):
        Workspace.open(tmp_path / "other")
    with workspace.database.write() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(WorkspaceError, match="cannot be written"), database.clear_errors("here"):
            connection.execute(insert(tables.keys).values(id="x"))
        connection.rollback()


def test_the_password_stands_in_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", f"postgresql://me:swordfish@/x?host={tmp_path}")
    with pytest.raises(DatabaseAwayError) as caught:
        Workspace.open(tmp_path / "workspace")
    assert "swordfish" not in str(caught.value)


def test_a_value_that_it_cannot_hold_is_wrong_input(workspace: Workspace) -> None:
    for name in ("a\0b", "\ud800"):
        with pytest.raises(InputError):
            workspace.start_run(name, "run", {})


@pytest.fixture
def full_server(small_disk: Path) -> Iterator[Postgres]:
    """A server that is thrown away: one whose disk was full is no good for other tests."""
    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def test_a_full_disk_is_said_to_be_and_then_it_goes_on(
    full_server: Postgres, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, ballast = small_disk / "tables", small_disk / "ballast"
    place.mkdir()
    ballast.write_bytes(bytes(500_000))
    if full_server.user is not None:
        for folder in (small_disk, place):
            shutil.chown(folder, full_server.user)
        for folder in small_disk.parents[:3]:  # pytest's own, which no other user may look into
            folder.chmod(0o755)
    monkeypatch.setenv("TUNEWRIGHT_DATABASE_URL", new_schema(full_server.url))
    workspace = Workspace.open(tmp_path / "workspace")
    with workspace.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE TABLESPACE small LOCATION '{place}'"))
        connection.execute(text("ALTER TABLE records SET TABLESPACE small"))
    kept = []

    def fill() -> None:
        for number in range(2000):
            kept.append(workspace.add_record("job", {"text": os.urandom(900).hex()}, id=f"job-{number}"))

    with pytest.raises(DiskFullError, match="No space is left for the workspace database"):
        fill()
    ballast.unlink()
    after = workspace.add_record("job", {"text": os.urandom(900).hex()}, id="after")
    assert workspace.records("job", limit=2000, order="asc").records == [*kept, after]
    workspace.close()
