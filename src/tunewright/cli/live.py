"""What a person sees while a run works: the bars, and between them the look before training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tunewright.cli.progress import progress

if TYPE_CHECKING:
    from tunewright.base.events import Listener
    from tunewright.lifecycle.job import StageDone


@contextlib.contextmanager
def live(json_output: bool) -> Iterator[tuple[Listener, StageDone]]:
    """Yields who hears a run's events, and who is told of its finished stages.

    Args:
        json_output: Whether a machine reads along; it wants no tables on stderr.
    """
    with progress() as screen:

        def stage_done(name: str, result: Any) -> None:
            if name == "preflight" and not json_output:
                from tunewright.cli.tables import preflight_table

                for part in preflight_table(result):
                    screen.console.print(part)

        yield screen, stage_done
