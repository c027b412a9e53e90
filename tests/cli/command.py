"""Runs the command line: in this process where that will do, in one of its own where signals matter."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def tunewright(*arguments: str | Path, stdin: str = "") -> Outcome:
    """Runs `tunewright …` in this process, through the real entry point."""
    from tunewright.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    with (
        patch.object(sys, "argv", ["tunewright", *map(str, arguments)]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
    return Outcome(code, out.getvalue(), err.getvalue())


def spawn(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Starts `tunewright …` in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}"}
    return subprocess.Popen(
        [sys.executable, "-m", "tunewright.cli.app", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
