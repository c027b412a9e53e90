"""What the works of bench/evaluate.py share: a folder, the options, processes, and what several of them need."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speed.peers import peer_python
from speed.processes import BENCH, Finished, environment, run


class NotComparable(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """The two sides did not do the same."""


@dataclass(frozen=True)
class Bench:
    """One start of the bench.

    Args:
        folder: For all that is written.
        options: The command line.
        data: Where the data lie.
    """

    folder: Path
    options: argparse.Namespace
    data: Path
    _found: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """What `find` gives; asked once, however many works want it."""
        if name not in self._found:
            self._found[name] = find()
        return self._found[name]

    @property
    def peer(self) -> Path:
        """The peer's interpreter; its environment is made where there is none."""
        given: Path | None = self.options.peer_python
        return (given or peer_python(BENCH / ".peers")).absolute()

    def start(self, module: str, arguments: Sequence[str], *, name: str, peer: bool = False) -> Finished:
        """Runs a process of either side to its end, telling people."""
        print(name, file=sys.stderr, flush=True)
        return run(
            f"evaluation.{module}",
            list(arguments),
            python=self.peer if peer else Path(sys.executable),
            log=self.folder / f"{name.replace(', ', '-').replace(' ', '-')}.log",
            environment=environment(self.options.threads),
        )

    def write(self, name: str, value: Any) -> Path:
        """A JSON file in the folder."""
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def read(self, name: str) -> Any:
        """What a JSON file in the folder holds."""
        return json.loads((self.folder / name).read_text())


def data_folder(given: Path | None) -> Path:
    """Where the data lie: as given, else $TUNEWRIGHT_DATA, else beside the checkout."""
    default = Path(os.environ.get("TUNEWRIGHT_DATA") or BENCH.parents[1] / "shared" / "data")
    return (given or default).expanduser().absolute()
