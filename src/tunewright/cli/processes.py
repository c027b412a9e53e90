"""`--processes`: the same command, done by several processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tunewright.cli.faults import TERMINATED, print_error
from tunewright.train.ranks.place import place

if TYPE_CHECKING:
    from tunewright.recipe import Recipe


def loaded_for(processes: int | None, recipe: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe, for the process that is to work on it; where it asks for several, they are started and do the work.

    Args:
        processes: What `--processes` says, in place of `train.processes`.
        recipe: The recipe's file.
        overrides: What `--set` says.
    Raises:
        typer.Exit: With the first process's code, once those that were started have ended.
        RankLostError: If a signal ended the first one.
    """
    from tunewright.recipe import load_recipe

    counted = [f"train.processes={processes}"] if processes is not None else []
    checked = load_recipe(recipe, [*overrides, *counted])
    if checked.train.processes == 1 or place().world > 1:
        return checked
    from tunewright.base.errors import RankLostError
    from tunewright.lifecycle.launching import launch

    ending = launch(checked.train.processes, sys.argv[1:])
    told = ", ".join(f"{rank} ({name})" for rank, name in ending.lost.items())
    error = RankLostError(
        f"Of {checked.train.processes} processes, counted from 0, a signal ended {told}",
        hint="The system may have done so for want of memory. Checkpoints are kept: go on with --resume.",
    )
    if 0 in ending.lost:
        raise error
    if ending.lost and ending.code == TERMINATED:
        print_error(error)  # the first one could only say that it was ended, and not why
        raise typer.Exit(error.exit_code)
    raise typer.Exit(ending.code)
