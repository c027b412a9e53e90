"""A run being worked on: what every stage needs, and the record of the stages that are done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tunewright.base.errors import InputError, TrainingDivergedError, TunewrightError, WorkspaceError, collect
from tunewright.base.events import Artifact, Event, Listener, Message, Stage, ignore
from tunewright.lifecycle.beginning import find_beginning, settled
from tunewright.lifecycle.continuing import changes, find_origin
from tunewright.lifecycle.faults import known
from tunewright.lifecycle.means import Means
from tunewright.lifecycle.meter import metered
from tunewright.lifecycle.processes import check_processes
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Run, Stored, Workspace
from tunewright.train.ranks.place import place

if TYPE_CHECKING:
    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat
    from tunewright.models.files import BaseFiles

Result = TypeVar("Result")
StageDone = Callable[[str, Any], None]

LATEST = "latest"
_RESUMABLE = ("run", "train")
_PROBING = ("run", "eval")
_MEASURING = "eval"  # works on what another run has prepared and trained


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run. What was finished is kept; `run` is the id to resume."""

    def __init__(self, run: str) -> None:
        super().__init__(f"The run {run} was interrupted")
        self.run = run


@dataclass
class Job:
    """One run, open for work.

    Args:
        recipe: What to do.
        workspace: Where everything is kept.
        run: The run's record; every event goes there too.
        listener: Who else hears the events.
        stage_done: Called with each stage's name and result as it ends; not for what was done before.
        means: What graders may use, where the recipe names one.
        results: Results of the stages that were done or loaded in this process.
    """

    recipe: Recipe
    workspace: Workspace
    run: Run
    listener: Listener = ignore
    stage_done: StageDone = lambda name, result: None
    means: Means = field(default_factory=Means)
    results: dict[str, Any] = field(default_factory=dict)
    _files: BaseFiles | None = None
    _chat: ChatFormat | None = None

    def tell(self, event: Event) -> None:
        """Passes an event on to the run's record and to the listener."""
        self.run.emit(event)
        self.listener(event)

    def stage(
        self,
        name: str,
        work: Callable[[], tuple[Result, Mapping[str, Any]]],
        load: Callable[[Mapping[str, Any]], Result],
    ) -> Result:
        """Does a stage once in the life of a run: later calls, and a resumed run, take what is there.

        Args:
            name: The stage's.
            work: Does it; gives the result, and a JSON-ready record from which `load` makes the result again.
            load: Makes the result of the record.
        """
        if name in self.results:
            return self.results[name]  # type: ignore[no-any-return]
        record = self.run.manifest.get("stages", {}).get(name)
        if record is not None:
            result = load(record)
            self.tell(Stage(name, "skipped", note="done before"))
        else:
            self.tell(Stage(name, "started"))
            with metered() as cost:
                result, record = work()
            self._note_stage(name, {**record, **cost.as_json()})
            self.tell(Stage(name, "finished"))
            self.stage_done(name, result)
        self.results[name] = result
        return result

    def record(self, name: str) -> dict[str, Any]:
        """A finished stage's record: what it noted, its `seconds` and `peak_memory_bytes`. Empty if it is not done."""
        found: dict[str, Any] = self.run.manifest.get("stages", {}).get(name, {})
        return found

    def redo(self, *names: str) -> None:
        """Forgets that stages were done, so that they are done again; what they made stays where it is."""
        stages = self.run.manifest.get("stages", {})
        self.run.update_manifest(stages={name: record for name, record in stages.items() if name not in names})
        for name in names:
            self.results.pop(name, None)

    def take_over(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Counts stages as done that another run did."""
        for name, record in records.items():
            self._note_stage(name, record)

    def put(
        self, kind: str, fill: Callable[[Path], object], *, manifest: Mapping[str, Any], parents: list[str]
    ) -> Stored:
        """Stores an artifact that this run made, and tells of it."""
        stored = self.workspace.put(kind, fill, manifest=manifest, parents=parents, producer=self.run.id)
        self.tell(Artifact(kind, stored.hash, str(stored.path)))
        return stored

    def base_files(self) -> BaseFiles:
        """The base model's files, fetched at the first call if they are not here yet."""
        from tunewright.models.resolve import resolve

        if self._files is None:
            self._files = resolve(self.recipe.base, self.workspace.cache, self.tell)
        return self._files

    def chat(self) -> ChatFormat:
        """How the base model reads the prepared rows; its weights are not loaded for that."""
        from tunewright.models.base import chat_format
        from tunewright.models.class_format import with_classes
        from tunewright.models.families import head_of

        if self._chat is None:
            head = head_of(self.recipe.train.objective)
            classes = self.results["prepare"].labels if head else ()
            self._chat = with_classes(chat_format(self.base_files()), head, classes)
        return self._chat

    def load_base(self) -> Base:
        """The base model, freshly loaded and prepared for forests, in the environment that the run began in.

        How it computes forests is chosen at the first call in a run's life, told, and kept in the run's manifest.
        """
        from tunewright.forest import layout
        from tunewright.models.base import load_base

        environment = self.environment()
        base = load_base(self.base_files(), dtype=environment["dtype"], device=environment.get("device", "cpu"))
        kept = self.run.manifest.get("attention")
        choice = layout.adopt(
            base.model,
            kept["backend"] if kept else self.recipe.train.backend,
            longest=self.recipe.longest,
            listener=ignore if kept else self.tell,
        )
        if kept is None:
            self.run.update_manifest(attention={"backend": choice.backend, "reason": choice.reason})
        return base

    def environment(self) -> dict[str, Any]:
        """Device, threads, dtype, versions and base hash, resolved at the run's first start and taken up ever after."""
        if "environment" in self.results:
            return self.results["environment"]  # type: ignore[no-any-return]
        import torch

        from tunewright.lifecycle import environment
        from tunewright.models.base import pick_dtype
        from tunewright.models.device import pick_device

        device = pick_device(self.recipe.train.device)
        now = environment.describe(
            device=device,
            dtype=pick_dtype(self.recipe.train.dtype, device),
            base_hash=self.base_files().weights_hash,
            seed=self.recipe.seed,
            processes=place().world,
        )
        then = self.run.manifest.get("environment")
        if then is None:
            self.run.update_manifest(environment=now)
        else:
            torch.set_num_threads(then["threads"])  # sums split over more threads are rounded elsewhere
            if changed := environment.differences(then, now):
                text = (
                    f"This run began elsewhere ({'; '.join(changed)}): its bits may differ from an uninterrupted run's."
                )
                self.tell(Message(text, "warning"))
        self.results["environment"] = then or now
        return then or now

    def _note_stage(self, name: str, record: Mapping[str, Any]) -> None:
        self.run.update_manifest(stages={**self.run.manifest.get("stages", {}), name: dict(record)})


@contextlib.contextmanager
def start(
    recipe: str | Path | Recipe,
    *,
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
    resume: str | None = None,
    from_checkpoint: str | None = None,
    kind: str = "run",
    stage_done: StageDone = lambda name, result: None,
    means: Means | None = None,
) -> Iterator[Job]:
    """Opens a new run, or one to be resumed, for the stages to work on.

    On leaving, the run is marked: succeeded, failed with its error, or interrupted.

    Args:
        recipe: A loaded recipe, or the path of one.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears every event.
        resume: None: a new run. A run's id, or "latest": that of this recipe's name.
        from_checkpoint: A run's id or name: the new run begins at its last good checkpoint, whatever became of it.
            Rate, schedule and the like may differ.
        kind: What the run is for: run, train, prepare, eval.
        stage_done: Called with each stage's name and result as it ends; not for what was done before.
        means: What graders may use; None: no programs, and the models of the default project.

    Raises:
        WorkspaceError: If there is nothing to resume or to begin from, or it was started with another recipe.
        RecipeError: If the recipe names an adapter that is not here, or whose method is another.
        RunInterrupted: In place of a KeyboardInterrupt.
    """
    checked = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    means = means or Means()
    if kind in _RESUMABLE:
        check_processes(checked.train)
        if checked.train.draws:
            from tunewright.lifecycle.rewarding import grader_of  # which works on a job

            grader_of(checked, runs_python=means.runs_python)
    if resume is None and kind != _MEASURING:
        _require_sources(checked)  # before a workspace is made for a recipe that points nowhere
    if resume is not None and from_checkpoint is not None:
        raise InputError("A run that is resumed has checkpoints of its own", hint="Leave --from-checkpoint out.")
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    if kind in _PROBING:
        from tunewright.lifecycle.probing import check_probes  # which works on a job

        check_probes(checked, place.cache)
    asked = checked.model_dump(mode="json")
    if from_checkpoint is not None:
        taken_over = find_origin(place, from_checkpoint, asked)[1]
    else:
        taken_over = find_beginning(place, checked) if resume is None and kind in _RESUMABLE else {}
    run = place.start_run(checked.name, kind, asked) if resume is None else _to_resume(place, checked, resume)
    run.update_manifest(**taken_over)
    with run.lock():
        try:
            yield Job(settled(run, checked), place, run, listener, stage_done, means)
        except KeyboardInterrupt as error:
            _finish(run, "interrupted")
            raise RunInterrupted(run.id) from error
        except Exception as error:
            ours = known(error)
            if isinstance(ours, TrainingDivergedError):
                ours.run = run.id
            _finish(run, "failed", ours or error)
            if ours is None or ours is error:
                raise
            raise ours from error
        run.finish("succeeded")


def _require_sources(recipe: Recipe) -> None:
    """Raises a `DataError` if a file that the recipe names is not there."""
    from tunewright.data.readers import find_files

    for source in (*recipe.data.train, *recipe.data.validation, *recipe.data.test, *recipe.data.challenger):
        if not source.is_elsewhere:
            find_files(source)


def within(listener: Listener, names: Mapping[str, str], *, own: str = "") -> Listener:
    """A listener for work inside a stage.

    Args:
        listener: Who hears the events.
        names: What inner stages are to be called, by their own names.
        own: A stage that begins and ends outside: the inner work's own beginning and end become mere progress.
    """

    def hear(event: Event) -> None:
        if isinstance(event, Stage):
            event = replace(event, name=names.get(event.name, event.name))
            if event.name == own and event.status != "progress":
                event = replace(event, status="progress")
        listener(event)

    return hear


def _finish(run: Run, status: Any, error: BaseException | None = None) -> None:
    # On a full disk the mark may fail too; the run then counts as interrupted, and the first error is the one to show.
    with contextlib.suppress(TunewrightError):
        run.finish(status, error)


def _to_resume(workspace: Workspace, recipe: Recipe, resume: str) -> Run:
    asked = recipe.model_dump(mode="json")
    if resume == LATEST:
        runs = [run for run in workspace.runs(name=recipe.name) if run.kind in _RESUMABLE]
        if not runs:
            raise WorkspaceError(
                f"There is no run of '{recipe.name}' to resume",
                where=str(workspace.root),
                hint="Start one without --resume, or name the workspace that has it with --workspace.",
            )
        # One that was started with other settings in between does not hide the one that is meant.
        run = next((run for run in runs if not _changed(run.recipe, asked)), runs[0])
    else:
        run = workspace.find_run(resume)
    if changed := _changed(run.recipe, asked):
        raise WorkspaceError(
            f"The run {run.id} was started with another recipe\n{collect(list(changed.values()))}\n",
            hint="Resume with the recipe and the --set values it was started with, or start a new run.",
        )
    return run


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Where two recipes differ, but for how many processes train: a run may go on with another number of them."""
    free = ("train.processes", "train.sharding")
    return {field: line for field, line in changes(then, now).items() if field not in free}
