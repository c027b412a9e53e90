"""From a recipe to a measured release, stage by stage; what a run did is never done again when it is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.base.events import Listener, ignore
from tunewright.lifecycle.job import Job, StageDone, start
from tunewright.lifecycle.means import Means
from tunewright.lifecycle.stages import STAGES, evaluate, prepare, release, report, train
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Workspace


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Args:
        run: The run's id.
        folder: Its folder in the workspace.
        workspace: The workspace's folder.
        release: The release's name and version, such as `support-desk@1`; empty where the gate was missed.
        adapter: The adapter artifact's hash.
        dataset: The dataset artifact's hash.
        evaluation: The scores: `evaluation["tuned"]["accuracy"]["value"]`.
        verdicts: For each condition of success `metric`, `condition`, `value`, `passed`.
        passed: Whether all of them are met, and every bar of the gate.
        report: The report's page.
        timings: Per stage `seconds` and `peak_memory_bytes`.
        gate: For each bar of the gate `what`, `bar`, `value`, `passed`, `by` and `note`.
        despite: Why a person has released it although the gate was missed; empty where nobody did.
    """

    run: str
    folder: Path
    workspace: Path
    release: str
    adapter: str
    dataset: str
    evaluation: dict[str, Any]
    verdicts: list[dict[str, Any]]
    passed: bool
    report: Path
    timings: dict[str, dict[str, Any]]
    gate: list[dict[str, Any]] = field(default_factory=list)
    despite: str = ""

    def as_json(self) -> dict[str, Any]:
        """The result as `tunewright run --json` prints it."""
        return {
            "run": self.run,
            "release": self.release or None,
            "passed": self.passed,
            "success": self.verdicts,
            "gate": self.gate,
            "despite": self.despite,
            "evaluation": self.evaluation,
            "report": str(self.report),
            "adapter": self.adapter,
            "dataset": self.dataset,
            "folder": str(self.folder),
            "workspace": str(self.workspace),
            "timings": self.timings,
        }


def run(
    recipe: str | Path | Recipe,
    *,
    overrides: Sequence[str] = (),
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
    resume: str | None = None,
    from_checkpoint: str | None = None,
    stage_done: StageDone = lambda name, result: None,
    means: Means | None = None,
) -> RunResult:
    """Does all that a recipe says: prepare, look, train, evaluate, release, report.

    Args:
        recipe: A recipe file's path, or a loaded recipe.
        overrides: `a.b=value` each, as `--set` takes them; for a path only.
        workspace: An open workspace, its folder, or None: $TUNEWRIGHT_HOME, or the nearest `.tunewright` upward.
        listener: Hears every event: stages, progress, metrics, messages.
        resume: A run's id, or "latest", to go on where it stopped. None: a new run.
        from_checkpoint: A run's id or name: the new run begins at its last good checkpoint, such as one that diverged;
            rate, schedule and the like may differ.
        stage_done: Called with each stage's name and result as it ends.
        means: What the recipe's grader may use; None: no programs.

    Raises:
        InputError: If the input is wrong; nothing was trained.
        RunInterrupted: After Ctrl-C; finished stages and checkpoints are kept, and `.run` says what to resume.
    """
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    asked: dict[str, Any] = {"workspace": workspace, "resume": resume, "from_checkpoint": from_checkpoint}
    with start(loaded, **asked, listener=listener, stage_done=stage_done, means=means) as job:
        for stage in STAGES.values():
            stage(job)
        return result_of(job)


def result_of(job: Job) -> RunResult:
    """The result of a run whose stages are all done."""
    measured = evaluate(job)
    return RunResult(
        run=job.run.id,
        folder=job.run.folder,
        workspace=job.workspace.root,
        release=release(job).label,
        adapter=train(job).stored.hash,
        dataset=prepare(job).hash,
        evaluation=measured.evaluation,
        verdicts=measured.verdicts,
        passed=measured.passed,
        report=report(job).path,
        timings={name: _cost(job.record(name)) for name in STAGES},
        gate=measured.gate,
        despite=release(job).despite,
    )


def _cost(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("seconds", "peak_memory_bytes")}
