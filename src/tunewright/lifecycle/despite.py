"""A person's word against the gate: a run that missed it is released all the same, and says so for good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunewright.base.errors import InputError, WorkspaceError
from tunewright.base.events import Listener, ignore
from tunewright.lifecycle.job import start
from tunewright.lifecycle.release import release
from tunewright.lifecycle.reporting import report
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace


@dataclass(frozen=True)
class Despite:
    """What was released against its gate.

    Args:
        release: Its name and version.
        run: The run that made it.
        reason: The person's.
        missed: The bars that it missed.
        report: Its page, written anew.
    """

    release: str
    run: str
    reason: str
    missed: tuple[str, ...]
    report: Path

    def as_json(self) -> dict[str, object]:
        """As `tunewright models release --json` prints it."""
        return {
            "release": self.release,
            "run": self.run,
            "despite": self.reason,
            "missed": list(self.missed),
            "report": str(self.report),
        }


def release_despite(
    run: str, reason: str, *, workspace: str | Path | Workspace | None = None, listener: Listener = ignore
) -> Despite:
    """Releases what a run trained although it missed its gate.

    The reason stands on the release's card, in its manifest and lineage, and on the report, which is written anew.

    Args:
        run: The run's id, or a recipe's name: its latest run.
        reason: Why; at least a word.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears every event.

    Raises:
        InputError: If no reason is given.
        WorkspaceError: If there is no such run, it was not measured, or it is released already.
    """
    if not reason.strip():
        raise InputError("A release against its gate needs a reason", where="--despite", hint="Say why, in a sentence.")
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    found = place.find_run(run)
    stages = found.manifest.get("stages", {})
    if found.kind == "eval" or "evaluate" not in stages:
        raise WorkspaceError(
            f"The run {found.id} has trained and measured nothing that could be released",
            hint="Take the run that trained it: tunewright runs list.",
        )
    if label := stages.get("release", {}).get("release"):
        raise WorkspaceError(f"The run {found.id} is released already, as {label}")
    if all(ruling["passed"] for ruling in stages["evaluate"].get("gate", [])):
        raise WorkspaceError(
            f"The run {found.id} has missed no gate, and is only unfinished",
            hint=f"Finish it: tunewright run RECIPE --resume {found.id}.",
        )
    recipe = recipe_from_mapping(found.recipe, where=f"recipe of {found.id}")
    with start(recipe, workspace=place, listener=listener, resume=found.id) as job:
        job.redo("release", "report")
        made = release(job, despite=reason.strip())
        page = report(job).path
    missed = tuple(ruling["what"] for ruling in stages["evaluate"]["gate"] if not ruling["passed"])
    return Despite(made.label, found.id, reason.strip(), missed, page)
