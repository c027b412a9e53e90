from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.processes import ended, killed_at, program
from tunewright.base.errors import DiskFullError, TunewrightError, WorkspaceError
from tunewright.base.files import hash_folder
from tunewright.store import Workspace

# SHA-256 of the line "rows.txt\0<SHA-256 of 'one'>\n", worked with sha256sum.
ONE = "7ae53606a00155b970fb9562c255a91ad97cd90e267bb5a4d45bd5141fac8990"


def text(content: str, name: str = "rows.txt") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def test_an_artifact_is_named_by_its_content(workspace: Workspace) -> None:
    stored = workspace.put("dataset", text("one"), manifest={"rows": 1}, producer="run-1")
    assert stored.hash == ONE
    assert stored.path == workspace.root / "artifacts" / "dataset" / ONE
    assert (stored.path / "rows.txt").read_text() == "one"
    assert (stored.kind, stored.manifest, stored.bytes) == ("dataset", {"rows": 1}, 3)
    assert workspace.artifact(stored.hash).as_json() == stored.as_json()
    assert workspace.artifact(stored.hash).hash == hash_folder(stored.path)
    beside = json.loads((stored.path.parent / f"{ONE}.json").read_text())
    assert (beside["kind"], beside["manifest"], list(beside["files"])) == ("dataset", {"rows": 1}, ["rows.txt"])


def test_equal_payloads_share_one_artifact_and_keep_both_producers(workspace: Workspace) -> None:
    first = workspace.put("dataset", text("one"), manifest={"seconds": 1}, producer="run-1")
    second = workspace.put("dataset", text("one"), manifest={"seconds": 2}, producer="run-2")
    assert first.path == second.path
    assert second.manifest == {"seconds": 2}
    assert [stored.hash for stored in workspace.artifacts()] == [first.hash]
    assert workspace.lineage(first.hash).producers == ("run-1", "run-2")
    assert workspace.artifact(first.hash).manifest == {"seconds": 1}
    assert workspace.artifact(first.hash, producer="run-2").manifest == {"seconds": 2}
    with pytest.raises(WorkspaceError, match="was not made by 'run-3'"):
        workspace.artifact(first.hash, producer="run-3")


def test_equal_payloads_of_two_kinds_are_two_artifacts(workspace: Workspace) -> None:
    first = workspace.put("dataset", text("one"), manifest={})
    second = workspace.put("export", text("one"), manifest={})
    assert first.hash == second.hash
    assert first.path != second.path
    with pytest.raises(WorkspaceError, match=r"is ambiguous: dataset .*, export"):
        workspace.artifact(first.hash)
    assert workspace.artifact(first.hash, kind="export").path == second.path


def test_a_beginning_of_the_hash_is_enough(workspace: Workspace) -> None:
    stored = workspace.put("dataset", text("one"), manifest={})
    assert workspace.artifact(ONE[:8]).path == stored.path
    with pytest.raises(WorkspaceError, match="No artifact has a hash that begins with 'ffff0000'"):
        workspace.artifact("ffff0000")
    with pytest.raises(WorkspaceError, match="No adapter has a hash"):
        workspace.artifact(ONE[:8], kind="adapter")
    for wrong in ("", "abc", "support-desk", "%%%%"):
        with pytest.raises(WorkspaceError, match="is no artifact's hash"):
            workspace.artifact(wrong)


def test_two_hashes_that_begin_alike_are_told_apart(workspace: Workspace) -> None:
    seen: dict[str, str] = {}
    for number in range(2000):  # 65,536 beginnings: two of some 300 payloads share one
        stored = workspace.put("dataset", text(str(number)), manifest={})
        other = seen.setdefault(stored.hash[:4], stored.hash)
        if other != stored.hash:
            with pytest.raises(WorkspaceError, match=f"'{other[:4]}' is ambiguous"):
                workspace.artifact(other[:4])
            assert workspace.artifact(other).hash == other
            return
    pytest.fail("no two hashes began alike")


def test_unknown_parents_are_refused_before_the_work(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="No artifact has a hash"):
        workspace.put("adapter", lambda folder: pytest.fail("was filled"), manifest={}, parents=["0" * 64])


def test_wrong_payloads_are_refused(workspace: Workspace) -> None:
    with pytest.raises(TunewrightError, match="is empty"):
        workspace.put("dataset", lambda folder: None, manifest={})
    with pytest.raises(TunewrightError, match=r"holds a link, 'rows\.txt'"):
        workspace.put("dataset", lambda folder: (folder / "rows.txt").symlink_to("/etc/hosts"), manifest={})
    with pytest.raises(TunewrightError, match="is no artifact kind"):
        workspace.put("../up", text("one"), manifest={})
    with pytest.raises(TypeError, match=r"manifest\.rows: object has no JSON form"):
        workspace.put("dataset", text("one"), manifest={"rows": object()})
    assert workspace.artifacts() == []


def test_an_error_while_filling_leaves_nothing(workspace: Workspace) -> None:
    def fill(folder: Path) -> None:
        (folder / "rows.txt").write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        workspace.put("dataset", fill, manifest={})
    assert list((workspace.root / "artifacts" / "dataset").iterdir()) == []


def test_damage_is_found_and_named(workspace: Workspace) -> None:
    def fill(folder: Path) -> None:
        for name in ("a.txt", "b.txt"):
            (folder / name).write_text("one")

    stored = workspace.put("dataset", fill, manifest={})
    stored.verify()
    (stored.path / "a.txt").write_text("two")
    assert workspace.artifact(stored.hash).hash == stored.hash  # of the same size: only reading it all tells
    with pytest.raises(WorkspaceError, match=r"is damaged: 'a\.txt' was changed"):
        stored.verify()
    (stored.path / "a.txt").write_text("longer")
    with pytest.raises(WorkspaceError, match=r"'a\.txt' was changed"):
        workspace.artifact(stored.hash)
    (stored.path / "b.txt").unlink()
    with pytest.raises(WorkspaceError, match=r"'b\.txt' is missing"):
        workspace.artifact(stored.hash)
    shutil.rmtree(stored.path)
    with pytest.raises(WorkspaceError, match=r"'a\.txt' is missing; 'b\.txt' is missing"):
        stored.verify()
    assert [found.hash for found in workspace.artifacts()] == [stored.hash]


def test_an_added_file_is_damage(workspace: Workspace) -> None:
    stored = workspace.put("dataset", text("one"), manifest={})
    (stored.path / "extra.txt").write_text("")
    with pytest.raises(WorkspaceError, match=r"'extra\.txt' does not belong to it"):
        stored.verify()


def test_putting_a_damaged_artifact_again_heals_it(workspace: Workspace) -> None:
    stored = workspace.put("dataset", text("one"), manifest={})
    (stored.path / "rows.txt").write_text("bad")
    workspace.put("dataset", text("one"), manifest={})
    stored.verify()
    assert sorted(entry.name for entry in stored.path.parent.iterdir()) == [stored.hash, f"{stored.hash}.json"]


PUT = """
import sys, time
from pathlib import Path
from tunewright.store import Workspace

def fill(folder):
    (folder / "rows.txt").write_text("half of it")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).touch()
        time.sleep(60)

print(Workspace.open(sys.argv[1]).put("dataset", fill, manifest={}, producer=sys.argv[-1]).hash)
"""


def test_killed_in_the_middle_no_half_artifact_is_seen(workspace: Workspace, tmp_path: Path) -> None:
    killed_at(program(PUT, workspace.root, tmp_path / "filling"), tmp_path / "filling")
    assert workspace.artifacts() == []
    (left,) = (workspace.root / "artifacts" / "dataset").iterdir()
    assert left.name.endswith(".part")
    Workspace.open(workspace.root).put("dataset", text("whole"), manifest={}).verify()


@pytest.mark.parametrize("step", ["settle", "write_json", "_record"])
def test_killed_at_any_step_the_same_put_succeeds_later(workspace: Workspace, step: str) -> None:
    code = """
    import os, signal, sys
    from tunewright.store import Workspace, artifacts

    original = getattr(artifacts, sys.argv[2])
    def killed(*arguments):
        original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(artifacts, sys.argv[2], killed)
    Workspace.open(sys.argv[1]).put("dataset", lambda folder: (folder / "rows.txt").write_text("one"), manifest={})
    """
    process = program(code, workspace.root, step)
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert workspace.artifacts() == []
    workspace.put("dataset", text("one"), manifest={}).verify()
    assert workspace.artifact(ONE).files.keys() == {"rows.txt"}


def test_two_processes_may_put_the_same_at_once(workspace: Workspace) -> None:
    hashes = {ended(process) for process in [program(PUT, workspace.root) for _ in range(3)]}
    assert len(hashes) == 1
    (stored,) = workspace.artifacts()
    stored.verify()
    assert stored.hash in hashes


def test_a_full_disk_leaves_the_workspace_usable(small_disk: Path) -> None:
    workspace = Workspace.open(small_disk / "workspace")
    workspace.put("dataset", text("one"), manifest={})
    with pytest.raises(DiskFullError, match="No space is left"):
        workspace.put("dataset", lambda folder: (folder / "big").write_bytes(bytes(2 << 20)), manifest={})
    workspace.artifact(ONE).verify()
    workspace.put("dataset", text("two"), manifest={}).verify()
    workspace.close()


@pytest.mark.sqlite
def test_a_full_disk_under_the_database_is_said_to_be(small_disk: Path) -> None:
    workspace = Workspace.open(small_disk / "workspace")
    run = workspace.start_run("demo", "run", {})
    ballast = small_disk / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=512"], capture_output=True)  # until the disk is full
    with pytest.raises(DiskFullError):
        run.update_manifest(text="x" * 500_000)
    ballast.unlink()
    run.update_manifest(text="short")
    assert run.manifest == {"text": "short"}
    workspace.close()


def test_no_space_at_the_last_flush_is_an_error_and_leaves_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(DiskFullError):
            workspace.put("dataset", text("one"), manifest={})
    assert list((workspace.root / "artifacts" / "dataset").iterdir()) == []
    workspace.put("dataset", text("one"), manifest={}).verify()


payloads = st.dictionaries(st.sampled_from(["a", "b/c", "d"]), st.binary(max_size=8), min_size=1)


@given(payload=payloads, times=st.integers(1, 3))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_putting_is_idempotent(workspace: Workspace, payload: dict[str, bytes], times: int) -> None:
    def fill(folder: Path) -> None:
        for name, content in payload.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    hashes = {workspace.put("dataset", fill, manifest={}, producer="run").hash for _ in range(times)}
    (content,) = hashes
    stored = workspace.artifact(content)
    stored.verify()
    assert {name: (stored.path / name).read_bytes() for name in stored.files} == payload
    assert workspace.lineage(content).producers == ("run",)
