"""A run in several processes: the first one does the run, the others take part in its training."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import RecipeError, TunewrightError
from tunewright.lifecycle.faults import known
from tunewright.train.ranks.place import place

if TYPE_CHECKING:
    from tunewright.lifecycle.job import Job
    from tunewright.recipe.schema import Train
    from tunewright.train.ranks.group import Ranks


def check_processes(asked: Train) -> None:
    """Refuses a recipe that asks for another number of processes than there are; one that asks for none goes with any.

    Raises:
        RecipeError: If it does.
    """
    here = place().world
    if asked.processes not in (1, here):
        raise RecipeError(
            f"The recipe asks for {asked.processes} processes, and there {'is one' if here == 1 else f'are {here}'}",
            where="train.processes",
            hint="The command starts them itself (tunewright run RECIPE); torchrun must start as many.",
        )


def call_others(job: Job) -> Ranks:
    """Calls the other processes, where there are any, to a run's training; to be followed by it in this one."""
    from tunewright.train.ranks.group import join

    ranks = join()
    ranks.tell(
        {
            "run": job.run.id,
            "workspace": str(job.workspace.root),
            "recipe": job.recipe.model_dump(mode="json"),
        }
    )
    return ranks


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """In the first process: the others are there while open, and are sent home afterwards."""
    from tunewright.train.ranks.ending import ignore_signals
    from tunewright.train.ranks.group import join, leave

    ranks = join()
    try:
        yield
    finally:
        ignore_signals()  # all is said and kept, and the exit code stands
        with contextlib.suppress(RuntimeError):  # who started us is gone, and with it what they would hear it through
            ranks.end()
        leave()


def follow() -> int:
    """In every other process: takes part in the trainings of the first one until that ends; gives the exit code.

    A Ctrl-C reaches all processes. Here it counts within the training alone; else it is for the first one to act on.
    """
    from tunewright.train.ranks.ending import ignore_signals
    from tunewright.train.ranks.group import Ended, join, leave

    ignore_signals()
    ranks = join()
    code = 0
    try:
        while True:
            _take_part(ranks.tell(), ranks)
    except Ended:
        pass
    except Exception as error:
        ranks.fail(known(error) or _unexpected(error, ranks.rank))
        code = 3
    leave()  # first of all, so that nobody waits for this one's part of a sum
    with contextlib.suppress(RuntimeError):  # who started us is gone
        ranks.wait_for_end()
    return code


def _take_part(order: dict[str, Any], ranks: Ranks) -> None:
    from tunewright.lifecycle.training import learn
    from tunewright.recipe import Recipe
    from tunewright.store import Workspace

    workspace = Workspace.open(order["workspace"], create=False)
    job = _silent(Recipe.model_validate(order["recipe"]), workspace, order["run"])
    with contextlib.suppress(KeyboardInterrupt):  # all processes have agreed on it, and the first one says so
        learn(job, lambda _: ranks)


def _silent(recipe: Any, workspace: Any, run: str) -> Job:
    """The first process's run, to be read from: nothing is recorded, and nothing told."""
    from tunewright.lifecycle.job import Job

    class Silent(Job):
        def tell(self, event: Any) -> None:
            pass

    return Silent(recipe, workspace, workspace.find_run(run))


def _unexpected(error: Exception, rank: int) -> TunewrightError:
    traceback.print_exception(error)
    return TunewrightError(
        f"Something went wrong inside tunewright, in process {rank}: {type(error).__name__}: {error}",
        hint="This is a bug, or a broken machine; finished work is kept. The traceback is above.",
    )
