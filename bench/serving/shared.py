"""What the works of bench/serve.py share: the options, a folder, one server of ours, and models with adapters."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speed.peers import peer_python
from speed.processes import BENCH, environment

from serving.asking import NOTHING, Batch
from serving.servers import Running


@dataclass(frozen=True)
class Bench:
    """One start of the bench.

    Args:
        folder: For all that is written.
        options: The command line.
        server: Ours, with the base loaded.
        adapters: Names of models that it answers as, each an adapter of the base.
        base_folder: Where the base's weights lie.
    """

    folder: Path
    options: argparse.Namespace
    server: Running
    adapters: tuple[str, ...]
    base_folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def peer(self) -> Path:
        """The peer's interpreter; its environment is made where there is none."""
        given: Path | None = self.options.peer_python
        return (given or peer_python(BENCH / ".peers")).absolute()

    @property
    def environment(self) -> dict[str, str]:
        """What both sides' servers are started with."""
        return environment(self.options.threads)

    def in_turn(self, **sides: Callable[[int], Batch]) -> dict[str, Batch]:
        """What each side takes over all rounds, the sides in turn, so that a machine's moods fall on all of them."""
        found = dict.fromkeys(sides, NOTHING)
        for number in range(self.options.rounds):
            for name, ask in sides.items():
                tell(f"{name}, round {number + 1}")
                found[name] += ask(number)
        return found


def tell(what: str) -> None:
    """A line on stderr for whoever waits."""
    print(what, file=sys.stderr, flush=True)


def rates(found: dict[str, Batch]) -> dict[str, Any]:
    """Each side's figures for the document."""
    return {
        name: {"tokens": batch.tokens, "seconds": batch.seconds, "tokens_per_s": batch.tokens_per_s}
        for name, batch in found.items()
    }


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
