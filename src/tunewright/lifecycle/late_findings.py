"""Findings that come after a run's end, such as what people say: put to its evaluation, its release and its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import WorkspaceError
from tunewright.base.files import write_json
from tunewright.lifecycle.reporting import PAGE, read_facts, write_pages
from tunewright.store import Run, Workspace

if TYPE_CHECKING:
    from tunewright.evaluate import Finding


@dataclass(frozen=True)
class Attached:
    """Where findings stand now.

    Args:
        run: The run's id.
        releases: The releases that carry the evaluation.
        report: The new page; None where the run has no report.
        note: Why there is no new page though there was one; empty otherwise.
    """

    run: str
    releases: tuple[str, ...]
    report: Path | None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The places as `--json` prints them."""
        return {
            "run": self.run,
            "releases": list(self.releases),
            "report": str(self.report) if self.report else None,
            "note": self.note,
        }


def attach(workspace: Workspace, run: Run, findings: Sequence[Finding], *, evidence: str) -> Attached:
    """Puts findings to a measured run, its releases and its report; those of the same name are replaced.

    Scores stay as they were measured. The page is written anew from the facts kept beside the old one, which stays too.

    Args:
        workspace: Where the run is.
        run: The run.
        findings: What was found out.
        evidence: Hash of the artifact that they stand on: it becomes a parent of the new report.

    Raises:
        WorkspaceError: If the run was not measured, or is still at work.
    """
    stages = run.manifest.get("stages", {})
    if "evaluate" not in stages:
        raise WorkspaceError(f"The run {run.id} was not measured, and has nothing to attach findings to")
    if run.status == "running":
        raise WorkspaceError(f"The run {run.id} is being worked on", hint="Attach findings once it has ended.")
    evaluation = stages["evaluate"]["evaluation"]
    known = evaluation.get("findings", {})
    evaluation = {**evaluation, "findings": {**known, **{finding.name: finding.as_json() for finding in findings}}}
    stages = {**stages, "evaluate": {**stages["evaluate"], "evaluation": evaluation}}
    page, note = None, ""
    if "report" in stages:
        try:
            page, stages["report"] = _rewrite(workspace, run, stages, evidence)
        except WorkspaceError as error:
            note = str(error)
    write_json(run.folder / "evaluation.json", evaluation)
    run.update_manifest(stages=stages)
    labels = [release.label for release in workspace.releases(run.name) if release.run == run.id]
    for label in labels:
        workspace.amend_release(label, evaluation)
    return Attached(run.id, tuple(labels), page, note)


def _rewrite(workspace: Workspace, run: Run, stages: dict[str, Any], evidence: str) -> tuple[Path, dict[str, Any]]:
    """The new page, and the record of the stage that made it."""
    record = stages["report"]
    old = workspace.artifact(record["report"], "report")
    facts = replace(read_facts(old.path), evaluation=stages["evaluate"]["evaluation"])
    stored = workspace.put(
        "report",
        lambda folder: write_pages(folder, facts),
        manifest=old.manifest,
        parents=[old.hash, evidence],
        producer=run.id,
    )
    return stored.path / PAGE, {**record, "report": stored.hash}
