from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunewright.base import large_pages as module
from tunewright.base.large_pages import are_offered, large_pages

# A process of its own: what is measured is the whole heap, and settings of the allocator are for a whole process.
_PROGRAM = """
import psutil
from tunewright.base.large_pages import large_pages

def large():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")) << 10

def held():
    return psutil.Process().memory_info().rss

size, count = 16 << 20, 16
before, begun = large(), held()
with large_pages():
    assert held() - begun < size, "addresses alone take no memory"
    blocks = [b"x" * size for _ in range(count)]
    inside = large() - before
    del blocks
    kept = held() - begun
print(inside, kept, held() - begun)
with large_pages():
    again = [b"x" * size for _ in range(count)]
    print(large() - before)
"""


@pytest.mark.skipif(not are_offered(), reason="this system offers no large pages")
def test_what_is_allocated_meanwhile_lies_on_large_pages_and_goes_back_afterwards() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    inside, kept, left, again = map(int, ran.stdout.split())
    size = 256 << 20
    assert min(inside, again) > size // 2
    assert kept > size // 2
    assert left < size // 8


@pytest.mark.parametrize(("offered", "committing"), [("always madvise [never]", "0"), ("[always] madvise never", "2")])
def test_nothing_is_asked_where_the_system_does_not_offer_it(
    offered: str, committing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("_OFFERED", offered), ("_COMMITTING", committing)):
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(module, "_widen", lambda libc: pytest.fail("asked"))
    with large_pages():
        assert not are_offered()


def test_a_system_without_the_file_offers_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OFFERED", tmp_path / "none")
    assert not are_offered()
