"""The peer's own environment, made at first use from peers.txt."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from speed.processes import BENCH

REQUIREMENTS = BENCH / "peers.txt"
CONSTRAINTS = BENCH.parent / "constraints.txt"


class NoPeer(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """The peer's environment could not be made."""


def peer_python(folder: Path) -> Path:
    """The interpreter of the environment in a folder; made there, or made anew where its pins have changed.

    Raises:
        NoPeer: If it cannot be made.
    """
    python, mark = folder / "bin" / "python", folder / ".installed"
    pins = hashlib.sha256(REQUIREMENTS.read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
    if python.exists() and mark.exists() and mark.read_text() == pins:
        return python
    log = folder / "install.log"
    print(f"making the peer's environment in {folder} (once; the log is {log})", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    install = [str(python), "-m", "pip", "install", "--progress-bar", "off", "-r", str(REQUIREMENTS)]
    with log.open("wb") as said:
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            if subprocess.run(command, stdout=said, stderr=subprocess.STDOUT).returncode:
                raise NoPeer(f"the peer's environment could not be made ({' '.join(command)}); see {log}")
    mark.write_text(pins)
    return python
