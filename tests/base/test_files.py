from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tunewright.base.errors import DiskFullError
from tunewright.base.files import (
    atomic_directory,
    atomic_file,
    disk_guard,
    folder_listing,
    hash_file,
    hash_folder,
    hash_value,
    part_directory,
    read_json,
    settle,
    write_json,
    write_text,
)


def leftovers(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(".part")]


def test_a_file_is_whole_once_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "note.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert leftovers(path.parent) == []


def test_an_error_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["atomic_file", "atomic_directory"])
def test_killed_in_the_middle_nothing_is_there(tmp_path: Path, kind: str) -> None:
    code = f"""
    import os, signal, sys
    from pathlib import Path
    from tunewright.base.files import {kind}

    with {kind}(Path(sys.argv[1])) as temporary:
        (temporary / "a" if temporary.is_dir() else temporary).write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    path = tmp_path / "result"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), path])
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(leftovers(tmp_path)) == 1


def test_a_folder_is_whole_once_it_is_there_and_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("first", "second"):
        with atomic_directory(path) as temporary:
            (temporary / "below").mkdir()
            (temporary / "below" / "a.txt").write_text(content)
    assert (path / "below" / "a.txt").read_text() == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert leftovers(tmp_path) == []


def test_settling_says_whether_it_did(tmp_path: Path) -> None:
    for expected in (True, False):
        with part_directory(tmp_path, "put") as temporary:
            (temporary / "a.txt").write_text("a")
            assert settle(temporary, tmp_path / "folder") is expected
    assert leftovers(tmp_path) == []


def test_everything_is_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(handle: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real_fsync(handle)

    def rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return real_rename(path, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell a handle's path")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    with atomic_directory(tmp_path / "folder") as temporary:
        (temporary / "a.txt").write_text("a")
    assert done == [f"{temporary}/a.txt", str(temporary), "rename", str(tmp_path)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFullError, match="No space is left") as caught, atomic_file(tmp_path / "note.txt"):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_known_under_other_libraries_errors() -> None:
    """Rust and C++ libraries raise classes of their own, with the system's words in them."""
    with pytest.raises(DiskFullError), disk_guard(Path("adapter")):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_other_errors_pass() -> None:
    with pytest.raises(PermissionError), disk_guard(Path("x")):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_json_is_written_the_same_way_each_time(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    assert read_json(tmp_path / "a.json") == {"a": "é", "b": 1}


def test_hashes_are_sha256(tmp_path: Path) -> None:
    content = b"x" * (3 << 20)  # longer than what is read at once
    (tmp_path / "big").write_bytes(content)
    assert hash_file(tmp_path / "big") == hashlib.sha256(content).hexdigest()
    assert hash_value({"b": [1, "é"], "a": None}) == hashlib.sha256('{"a":null,"b":[1,"é"]}'.encode()).hexdigest()


def test_a_folders_hash_covers_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a" / "below").mkdir(parents=True)
    (tmp_path / "a" / "below" / "x").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert folder_listing(tmp_path / "a") == {"below/x": one, "y": two}
    expected = hashlib.sha256(f"below/x\0{one}\ny\0{two}\n".encode()).hexdigest()
    assert hash_folder(tmp_path / "a") == expected
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    assert hash_folder(tmp_path / "a") != expected
