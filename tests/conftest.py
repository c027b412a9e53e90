"""For all tests: what is drawn at random is drawn the same each time, and a disk that is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples are drawn each time, so more of them would find nothing new in later runs. On a busy machine drawing
# is slow, and that says nothing about the code.
settings.register_profile("seeded", derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seeded")


@pytest.fixture(scope="session", autouse=True)
def same_numbers_everywhere() -> Iterator[None]:
    """The same on every processor. Processes that are not forked off this one have to see to it themselves."""
    from tests.processor import without_bfloat16

    with pytest.MonkeyPatch.context() as patch:
        without_bfloat16(patch)
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB; skips where it may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only the superuser can mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
