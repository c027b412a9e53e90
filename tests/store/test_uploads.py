from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.processes import program
from tunewright.base.errors import DiskFullError, NoSuchRecordError, TooLargeError, WorkspaceError
from tunewright.store import Record, Workspace, uploads
from tunewright.store.uploads import (
    clean_filename,
    expire_uploads,
    find_upload,
    open_upload,
    receive,
    remove_upload,
    sweep_uploads,
)


def sent(workspace: Workspace, content: bytes = b"one\n", expires_after_s: int | None = None) -> Record:
    with receive(
        workspace, filename="rows.jsonl", purpose="fine-tune", limit_bytes=4 << 20, expires_after_s=expires_after_s
    ) as upload:
        upload.write(content)
        return upload.keep()


def folders(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.root / "uploads").iterdir())


def test_a_file_is_kept_as_it_was_sent(workspace: Workspace) -> None:
    before = int(time.time())
    with receive(workspace, filename="a/rows.jsonl", purpose="fine-tune", project="red", limit_bytes=8) as upload:
        upload.write(b"one\n")
        upload.write(b"two\n")
        assert workspace.records("file").records == []
        record = upload.keep()
    assert record.id.startswith("file-")
    assert record.project == "red"
    assert before <= record.created_at <= time.time()
    assert record.body == {
        "bytes": 8,
        "filename": "rows.jsonl",
        "purpose": "fine-tune",
        "status": "processed",
        "status_details": None,
        "expires_at": None,
        "sha256": hashlib.sha256(b"one\ntwo\n").hexdigest(),
    }
    assert find_upload(workspace, record.id, project="red") == record
    assert open_upload(workspace, record) == workspace.root / "uploads" / record.id / "content"
    assert open_upload(workspace, record).read_bytes() == b"one\ntwo\n"


def test_what_is_not_kept_leaves_nothing(workspace: Workspace) -> None:
    with receive(workspace, limit_bytes=100) as upload:
        upload.write(b"one")

    def broken() -> None:
        with receive(workspace, limit_bytes=100) as upload:
            upload.write(b"one")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        broken()
    assert folders(workspace) == []
    assert workspace.records("file").records == []


def test_a_file_over_the_limit_is_refused(workspace: Workspace) -> None:
    with receive(workspace, limit_bytes=4) as upload:
        upload.write(b"four")
        with pytest.raises(TooLargeError, match="larger than 4 bytes"):
            upload.write(b"!")
    assert folders(workspace) == []


def test_a_removed_file_is_gone(workspace: Workspace) -> None:
    record = sent(workspace)
    remove_upload(workspace, record)
    assert folders(workspace) == []
    with pytest.raises(NoSuchRecordError):
        find_upload(workspace, record.id)
    with pytest.raises(NoSuchRecordError):
        remove_upload(workspace, record)


def test_a_file_expires_when_it_is_read_and_when_it_is_swept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long, forever = sent(workspace, expires_after_s=10), sent(workspace, expires_after_s=99), sent(workspace)
    assert short.body["expires_at"] == short.created_at + 10
    assert expire_uploads(workspace) == 0
    later_s = short.created_at + 10.0
    monkeypatch.setattr(time, "time", lambda: later_s)
    with pytest.raises(NoSuchRecordError):
        find_upload(workspace, short.id)
    assert expire_uploads(workspace) == 1
    assert expire_uploads(workspace) == 0
    assert folders(workspace) == sorted([long.id, forever.id])
    assert find_upload(workspace, long.id) == long
    far_s = 2.0**33  # past what four bytes hold
    monkeypatch.setattr(time, "time", lambda: far_s)
    assert expire_uploads(workspace) == 1
    assert [record.id for record in workspace.records("file").records] == [forever.id]


def test_a_missing_or_changed_content_is_said_to_be(workspace: Workspace) -> None:
    record = sent(workspace)
    path = open_upload(workspace, record)
    path.write_bytes(b"longer than it was")
    with pytest.raises(WorkspaceError, match=f"content of the file {record.id} is missing or was changed"):
        open_upload(workspace, record)
    path.unlink()
    with pytest.raises(WorkspaceError, match="missing or was changed"):
        open_upload(workspace, record)


def test_no_id_leads_out_of_the_folder(workspace: Workspace) -> None:
    (workspace.root / "content").write_bytes(b"1234")
    for id in ("..", ".", "../x", "a/b", "/etc"):
        record = workspace.add_record("file", {"bytes": 4}, id=id)
        with pytest.raises(NoSuchRecordError):
            open_upload(workspace, record)


@pytest.mark.parametrize("step", ["settle", "_killed_before_it", "add_record"])
def test_killed_in_the_middle_no_half_file_is_seen(workspace: Workspace, tmp_path: Path, step: str) -> None:
    code = """
    import os, signal, sys
    from tunewright.store import Workspace, uploads
    def killed(*arguments, **named):
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[2] == "settle":
        uploads.settle = killed
    if sys.argv[2] == "add_record":
        Workspace.add_record = killed
    with uploads.receive(Workspace.open(sys.argv[1]), limit_bytes=1 << 30) as upload:
        upload.write(b"x" * 3_000_000)
        if sys.argv[2] == "_killed_before_it":
            killed()
        upload.keep()
    """
    process = program(code, workspace.root, step)
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert workspace.records("file").records == []
    (left,) = folders(workspace)
    assert left.endswith(".part") == (step != "add_record")
    kept = sent(workspace)
    sweep_uploads(workspace)
    assert folders(workspace) == sorted([left, kept.id])  # young: it may be another process's that lives
    old_s = time.time() - 7200
    for path in (workspace.root / "uploads").rglob("*"):
        os.utime(path, (old_s, old_s))
    foreign = workspace.root / "uploads" / "notes.txt"
    foreign.write_text("of the operator")
    os.utime(foreign, (old_s, old_s))
    sweep_uploads(workspace)
    assert folders(workspace) == [kept.id, "notes.txt"]
    assert open_upload(workspace, kept).read_bytes() == b"one\n"


def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Path) -> None:
    workspace = Workspace.open(small_disk / "workspace")
    kept = sent(workspace)
    with pytest.raises(DiskFullError, match="No space is left"):
        sent(workspace, bytes(2 << 20))
    assert folders(workspace) == [kept.id]
    assert open_upload(workspace, kept).read_bytes() == b"one\n"
    again = sent(workspace, b"two\n")
    assert open_upload(workspace, again).read_bytes() == b"two\n"
    workspace.close()


def test_a_record_that_cannot_be_written_leaves_no_bytes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Record:
        raise DiskFullError("No space is left for the workspace database")

    monkeypatch.setattr(Workspace, "add_record", full)
    with pytest.raises(DiskFullError):
        sent(workspace)
    assert folders(workspace) == []


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("rows.jsonl", "rows.jsonl"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\rows.jsonl", "rows.jsonl"),
        ("folder/", "folder"),
        ("", "upload"),
        ("..", "upload"),
        ("\0\r\n", "upload"),
        ("a\r\nb\0.jsonl", "ab.jsonl"),
        ("größe.jsonl", "größe.jsonl"),
        ("x" * 300 + ".jsonl", "x" * 249 + ".jsonl"),
        ("\ud800.jsonl", ".jsonl"),
    ],
)
def test_filenames_are_cleaned(given: str, clean: str) -> None:
    assert clean_filename(given) == clean


@given(st.builds(str.__mul__, st.text(max_size=12), st.integers(1, 60)))
def test_a_clean_filename_is_short_plain_and_stays_as_it_is(name: str) -> None:
    clean = clean_filename(name)
    assert 0 < len(clean) <= uploads.LONGEST_FILENAME
    assert clean not in (".", "..")
    assert not set(clean) & set("/\\\0\r\n")
    assert clean_filename(clean) == clean
