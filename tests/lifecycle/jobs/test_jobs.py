"""What may be asked of a job in which state, and what a process that was killed in between leaves to be put right."""

from __future__ import annotations

import pytest

from tests.lifecycle.jobs.made import chat_rows, fresh, made_workspace, ordered, told, uploaded
from tunewright.base.errors import NoSuchRecordError
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.desk import Desk, handle, recover
from tunewright.lifecycle.jobs.jobs import JOB, JobError, checking_task
from tunewright.store import Workspace
from tunewright.store.queue import Claims
from tunewright.store.records import Record


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return made_workspace(tmp_path_factory.mktemp("jobs"))


@pytest.fixture
def job(workspace: Workspace) -> Record:
    return ordered(workspace, uploaded(workspace, chat_rows(12)))


def looked_at(workspace: Workspace, job: Record) -> None:
    """Does the task that looks at the job's files."""
    claims = Claims(workspace, "test")
    while (task := claims.claim(["validation"])) is not None:
        handle(task, Desk(workspace))
        claims.finish(task)
    assert fresh(workspace, job)["status"] == "queued"


def messages(workspace: Workspace, job: Record) -> list[str]:
    return [event["message"] for event in told(workspace, job)]


def test_an_event_is_told_once(workspace: Workspace, job: Record) -> None:
    before = len(told(workspace, job))
    assert jobs.tell(workspace, job, "step 1", "Step 1/2", data={"step": 1})
    assert not jobs.tell(workspace, job, "step 1", "Step 1/2", data={"step": 1})
    assert jobs.tell(workspace, job, "step 2", "Step 1/2", data={"step": 2})
    assert len(told(workspace, job)) == before + 2
    other = ordered(workspace, job.body["training_file"])
    assert jobs.tell(workspace, other, "step 1", "Step 1/2", data={"step": 1})


def test_a_queued_job_is_cancelled_at_once(workspace: Workspace, job: Record) -> None:
    looked_at(workspace, job)
    assert workspace.task(job.id).memory_bytes > 0
    assert jobs.cancel(workspace, job.id).body["status"] == "cancelled"
    assert workspace.task(job.id).state == "done"
    assert fresh(workspace, job)["finished_at"] is not None
    assert jobs.cancel(workspace, job.id).body["status"] == "cancelled"  # once more is no fault
    assert messages(workspace, job).count("The job was cancelled.") == 1


def test_what_has_ended_cannot_be_changed(workspace: Workspace, job: Record) -> None:
    jobs.end(workspace, job.id, "succeeded")
    for change in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(JobError, match="succeeded"):
            change(workspace, job.id)
    jobs.fail(workspace, job, code="late", message="Too late.")
    assert fresh(workspace, job)["status"] == "succeeded"
    assert not any(event["level"] == "error" for event in told(workspace, job))


def test_other_projects_see_no_job(workspace: Workspace, job: Record) -> None:
    with pytest.raises(NoSuchRecordError):
        jobs.cancel(workspace, job.id, project="other")
    assert fresh(workspace, job)["status"] == "validating_files"


def test_a_job_that_waits_rests_and_goes_on(workspace: Workspace, job: Record) -> None:
    looked_at(workspace, job)
    jobs.pause(workspace, job.id)
    jobs.pause(workspace, job.id)
    assert workspace.task(job.id).state == "paused"
    assert fresh(workspace, job)["status"] == "queued"
    jobs.resume(workspace, job.id)
    jobs.resume(workspace, job.id)
    assert workspace.task(job.id).state == "queued"
    jobs.pause(workspace, job.id)
    said = messages(workspace, job)
    assert sum("asked to pause" in text for text in said) == 2
    assert said.count("The job was resumed.") == 1
    jobs.cancel(workspace, job.id)


def test_a_job_paused_while_its_files_are_looked_at_rests_afterwards(workspace: Workspace, job: Record) -> None:
    claims = Claims(workspace, "test")
    task = claims.claim(["validation"])
    while task and task.id != checking_task(job.id):
        claims.finish(task)
        task = claims.claim(["validation"])
    assert task
    jobs.pause(workspace, job.id)
    handle(task, Desk(workspace))
    assert workspace.task(job.id).state == "paused"
    jobs.cancel(workspace, job.id)


def test_a_job_that_was_recorded_and_not_queued_is_queued(workspace: Workspace, job: Record) -> None:
    body = {**job.body, "training_file": uploaded(workspace, chat_rows(12))}
    orphan = workspace.add_record(JOB, body, id="ftjob-orphan")
    recover(workspace)
    assert workspace.task(checking_task(orphan.id)).state == "queued"
    looked_at(workspace, orphan)
    recover(workspace)
    assert workspace.task(orphan.id).state == "queued"
    jobs.cancel(workspace, orphan.id)


def test_a_job_whose_task_was_cancelled_is_ended(workspace: Workspace, job: Record) -> None:
    looked_at(workspace, job)
    workspace.ask(job.id, "cancel")  # and killed before it could mark the job
    assert fresh(workspace, job)["status"] == "queued"
    recover(workspace)
    assert fresh(workspace, job)["status"] == "cancelled"


def test_integrations_are_kept_and_told_nothing(workspace: Workspace, job: Record) -> None:
    wandb = {"type": "wandb", "wandb": {"project": "mine", "entity": None, "name": None, "tags": None}}
    other = ordered(workspace, job.body["training_file"], integrations=[wandb])
    (warning,) = [event for event in told(workspace, other) if event["level"] == "warn"]
    assert "told nothing" in warning["message"]
    assert other.body["integrations"] == [wandb]
