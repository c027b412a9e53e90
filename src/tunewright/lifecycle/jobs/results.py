"""What comes of a job: models that answer under names of their own, checkpoints, and a file of figures."""

from __future__ import annotations

import base64
import csv
import io
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.base.files import hash_value
from tunewright.lifecycle import beginning
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.hearing import step_mark
from tunewright.lifecycle.jobs.jobs import CHECKPOINT, EVENT, REINFORCEMENT
from tunewright.lifecycle.jobs.ordering import model_name
from tunewright.lifecycle.preparing import prepare
from tunewright.lifecycle.release import prompt_template
from tunewright.lifecycle.serving.names import MODEL, add_model
from tunewright.store.records import Record
from tunewright.store.uploads import receive
from tunewright.train.checkpoint import FOLDER as CHECKPOINTS
from tunewright.train.trained import kept_adapters

if TYPE_CHECKING:
    from tunewright.lifecycle.job import Job
    from tunewright.store import Run, Workspace

RESULTS = "fine-tune-results"
RUN_KIND = "train"
_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}
_OF_REWARDS = {"train_mean_reward": "train_mean_reward", "valid_mean_reward": "full_valid_mean_reward"}
_MEASURED = (
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
    "train_mean_reward",
    "full_valid_mean_reward",
)


@dataclass
class Results:
    """A job's results on their way. All of it may be done again by another process, and is there once.

    Args:
        job: The job.
        run: Its run, open for work.
    """

    job: Record
    run: Job

    def collect(self) -> None:
        """Serves the adapters that the run has kept of its epochs' ends so far."""
        for step, folder in kept_adapters(self.run.run.folder).items():
            id = f"ftckpt_{hash_value([self.job.id, step])[:24]}"
            if _is_there(self._workspace, CHECKPOINT, id):
                continue
            files = self.run.base_files()
            stored = self.run.put(
                "adapter",
                partial(shutil.copytree, folder, dirs_exist_ok=True),
                manifest={
                    "base": files.name,
                    "base_hash": files.weights_hash,
                    "method": self.run.recipe.method.model_dump(mode="json"),
                    "dtype": self.run.environment()["dtype"],
                    "step": step,
                },
                parents=beginning.parents(self.run.run, prepare(self.run).hash),
            )
            name = model_name(self.job, step)
            self._serve(name, stored.hash)
            data = _told_at(self._workspace, self.job, step)
            body = {
                "fine_tuned_model_checkpoint": name,
                "fine_tuning_job_id": self.job.id,
                "metrics": {"step": step, **{key: data[key] for key in _MEASURED if key in data}},
                "step_number": step,
            }
            _add_once(self._workspace, CHECKPOINT, body, id, self.job)
            jobs.tell(self._workspace, self.job, f"checkpoint {step}", f"Checkpoint created at step {step}")

    def finish(self, adapter: str) -> dict[str, Any]:
        """Serves the last adapter and writes the file of figures; gives the fields that the job's record gets.

        Args:
            adapter: The artifact's hash.
        """
        self.collect()
        name = model_name(self.job)
        self._serve(name, adapter)
        file = results_file(self._workspace, self.job)
        jobs.tell(self._workspace, self.job, "model", "New fine-tuned model created")
        return {"fine_tuned_model": name, "result_files": [file]}

    @property
    def _workspace(self) -> Workspace:
        return self.run.workspace

    @cached_property
    def _template(self) -> dict[str, Any]:
        """How requests are rendered. What a client sends is asked, and nothing of the training rows in front of it."""
        found = prompt_template(self.run, prepare(self.run))
        return found | {"system": "", "tools": [], "max_new_tokens": self.run.base_files().context_length}

    def _serve(self, name: str, adapter: str) -> None:
        if _is_there(self._workspace, MODEL, name):
            return
        files = self.run.base_files()
        try:
            add_model(
                self._workspace,
                name,
                base=self.run.recipe.base,
                base_hash=files.weights_hash,
                adapter=adapter,
                template=self._template,
                recipe=self.run.recipe.model_dump(mode="json"),
                parent=self.job.body["model"],
                owner=self.job.body["organization_id"],
                job=self.job.id,
                project=self.job.project,
            )
        except InputError:
            if not _is_there(self._workspace, MODEL, name):
                raise


def run_of(workspace: Workspace, job: Record) -> Run | None:
    """A job's run, if one was begun."""
    found = workspace.runs(name=job.id.lower(), kind=RUN_KIND, limit=1)
    return found[0] if found else None


def close(workspace: Workspace, job: Record) -> None:
    """What is left to do of a job that has ended, whoever ended it; may be done again."""
    shutil.rmtree(workspace.root / "jobs" / job.id, ignore_errors=True)
    if job.body["status"] == "succeeded":
        jobs.tell(workspace, job, "succeeded", "The job has successfully completed")
    elif job.body["status"] == "cancelled":
        if _is_there(workspace, MODEL, model_name(job)):  # it was just being made
            workspace.remove_record(MODEL, model_name(job))
        run = run_of(workspace, job)
        if run and run.status not in ("running", "succeeded"):
            run.finish("cancelled")
            shutil.rmtree(run.folder / CHECKPOINTS, ignore_errors=True)


def results_file(workspace: Workspace, job: Record) -> str:
    """The file with a line for each of a job's events of metrics, made if it is not there; its id."""
    filename = f"step_metrics_{job.id}.csv"
    there = workspace.records("file", project=job.project, where={"filename": filename, "purpose": RESULTS}, limit=1)
    if there.records:
        return there.records[0].id
    # As OpenAI serves it: clients decode what they get.
    content = base64.b64encode(_table(workspace, job).encode())
    limit = len(content)
    with receive(workspace, filename=filename, purpose=RESULTS, project=job.project, limit_bytes=limit) as upload:
        upload.write(content)
        return upload.keep().id


def _table(workspace: Workspace, job: Record) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = _COLUMNS | (_OF_REWARDS if job.body["method"]["type"] == REINFORCEMENT else {})
    writer.writerow(columns)
    for event in workspace.each_record(EVENT, parent=job.id, where={"type": "metrics"}):
        found = (event.body["data"].get(name) for name in columns.values())
        writer.writerow(["" if value is None else value for value in found])
    return text.getvalue()


def _told_at(workspace: Workspace, job: Record, step: int) -> dict[str, Any]:
    """The numbers of the event of a step."""
    found: dict[str, Any] = workspace.record(EVENT, jobs.event_id(job, step_mark(step))).body["data"]
    return found


def _add_once(workspace: Workspace, kind: str, body: dict[str, Any], id: str, job: Record) -> None:
    try:
        workspace.add_record(kind, body, id=id, parent=job.id, project=job.project)
    except InputError:
        if not _is_there(workspace, kind, id):
            raise


def _is_there(workspace: Workspace, kind: str, id: str) -> bool:
    try:
        workspace.record(kind, id)
    except NoSuchRecordError:
        return False
    return True
