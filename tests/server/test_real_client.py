"""The whole way through the official client: upload, create, follow, chat, stream, list, cancel, on a real server."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.cli.command import tunewright
from tests.server.process import ROOT, started
from tests.tiny import tiny_folder
from tunewright.lifecycle.serving.names import set_alias
from tunewright.store import Workspace

NAME = "gpt-4o-mini-2024-07-18"
ENDED = ("succeeded", "failed", "cancelled")
EXAMPLE = ROOT / "examples" / "openai-migration"


@dataclass(frozen=True)
class Running:
    """A server, and a client of it that rejects whatever does not fit its types."""

    url: str
    client: OpenAI
    workspace: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    base = tiny_folder(folder / "base", max_position_embeddings=512)
    set_alias(Workspace.open(folder / "ws"), NAME, str(base))
    with (
        started(folder / "ws", log=folder / "serve.log") as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", _strict_response_validation=True, max_retries=0) as client,
    ):
        yield Running(url, client, folder / "ws")


def _rows(path: Path, count: int) -> Path:
    colours = ("red", "green", "blue")
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            said = [("user", f"{colours[number % 3]} lamp {number}"), ("assistant", colours[number % 3])]
            file.write(json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}) + "\n")
    return path


def _upload(client: OpenAI, path: Path) -> str:
    with path.open("rb") as content:
        return client.files.create(file=content, purpose="fine-tune").id


def _wait(client: OpenAI, job: str, statuses: tuple[str, ...] = ENDED, longest_s: float = 120.0) -> FineTuningJob:
    until = time.monotonic() + longest_s
    while (found := client.fine_tuning.jobs.retrieve(job)).status not in statuses:
        assert time.monotonic() < until, f"{found.status}: {client.fine_tuning.jobs.list_events(job).data}"
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class Trained:
    """What the example's script printed, and the job that it made."""

    printed: str
    job: FineTuningJob


@pytest.fixture(scope="module")
def trained(running: Running) -> Trained:
    """The job of a script that was written for OpenAI's service, and runs as it is."""
    environment = {**os.environ, "OPENAI_BASE_URL": f"{running.url}/v1", "OPENAI_API_KEY": "none"}
    script = [sys.executable, str(EXAMPLE / "finetune.py")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    job = re.search(r"Created (ftjob-\w+)", done.stdout)
    assert job is not None
    return Trained(done.stdout, running.client.fine_tuning.jobs.retrieve(job[1]))


def test_a_script_written_for_openai_runs_as_it_is(trained: Trained) -> None:
    assert f"Fine-tuned model: {trained.job.fine_tuned_model}" in trained.printed
    assert "The job has successfully completed" in trained.printed
    assert "Answer: " in trained.printed


def test_a_job_says_all_that_came_of_it(running: Running, trained: Trained) -> None:
    client, job = running.client, trained.job
    assert (job.status, job.model, job.seed, job.user_provided_suffix) == ("succeeded", NAME, 7, "support")
    assert job.trained_tokens
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith(f"ft:{NAME}:")
    assert ":support:" in job.fine_tuned_model
    assert job.fine_tuned_model in [model.id for model in client.models.list()]
    assert job.id in [each.id for each in client.fine_tuning.jobs.list(limit=5)]

    events = list(client.fine_tuning.jobs.list_events(job.id, limit=7))[::-1]  # page after page
    assert len({event.id for event in events}) == len(events)
    steps = [event.data["step"] for event in events if event.type == "metrics"]  # type: ignore[index]
    assert steps == list(range(1, 19))  # 24 rows, 4 at a time, three times
    assert events[0].message == f"Created fine-tuning job: {job.id}"
    assert [event.message for event in events[-2:]] == [
        "New fine-tuned model created",
        "The job has successfully completed",
    ]
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [checkpoint.step_number for checkpoint in checkpoints] == [18, 12, 6]
    (result,) = job.result_files
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    table = base64.b64decode(client.files.content(result).read()).decode().splitlines()
    assert table[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [line.split(",")[0] for line in table[1:]] == [str(step) for step in steps]


def test_a_script_for_reinforcement_runs_as_it_is(running: Running) -> None:
    environment = {**os.environ, "OPENAI_BASE_URL": f"{running.url}/v1", "OPENAI_API_KEY": "none"}
    script = [sys.executable, str(EXAMPLE / "reinforce.py")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    name = re.search(r"Created (ftjob-\w+)", done.stdout)
    assert name is not None
    job = running.client.fine_tuning.jobs.retrieve(name[1])
    assert job.status == "succeeded"
    assert job.method is not None
    assert job.method.reinforcement is not None
    assert job.method.reinforcement.grader.type == "text_similarity"
    told = [event.message for event in running.client.fine_tuning.jobs.list_events(job.id, limit=100).data]
    assert sum(bool(re.fullmatch(r"Step \d+/20, train mean reward=\d\.\d\d", message)) for message in told) == 20


def test_what_was_trained_answers_whole_and_in_pieces(running: Running, trained: Trained) -> None:
    client = running.client
    asked: Any = {"messages": [{"role": "user", "content": "Where is my parcel?"}], "max_tokens": 8, "temperature": 0}
    model = trained.job.fine_tuned_model
    answer = client.chat.completions.create(model=model, **asked)
    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, **asked, stream=True, stream_options=usage))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == answer.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens
    last, *_ = client.fine_tuning.jobs.checkpoints.list(trained.job.id).data
    of_checkpoint = client.chat.completions.create(model=last.fine_tuned_model_checkpoint, **asked)
    assert of_checkpoint.choices[0].message.content == streamed  # the last checkpoint is the result


def test_a_job_is_cancelled(running: Running, tmp_path: Path) -> None:
    jobs = running.client.fine_tuning.jobs
    job = jobs.create(model=NAME, training_file=_upload(running.client, _rows(tmp_path / "rows.jsonl", 60)))
    assert jobs.cancel(job.id).status == "cancelled"
    assert jobs.retrieve(job.id).status == "cancelled"
    assert "The job was cancelled." in [event.message for event in jobs.list_events(job.id)]


def test_a_bad_file_fails_its_job_and_says_why(running: Running, tmp_path: Path) -> None:
    client = running.client
    job = client.fine_tuning.jobs.create(model=NAME, training_file=_upload(client, _rows(tmp_path / "few.jsonl", 7)))
    failed = _wait(client, job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.error.param) == ("failed", "invalid_n_examples", "training_file")
    assert failed.error.message == "Training file has 7 example(s), but must have at least 10 examples"


def test_faults_are_the_errors_that_the_client_knows(running: Running) -> None:
    client = running.client
    with pytest.raises(openai.NotFoundError) as gone:
        client.fine_tuning.jobs.retrieve("ftjob-none")
    assert "ftjob-none" in gone.value.message
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-none", messages=[{"role": "user", "content": "x"}])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as file:
        client.fine_tuning.jobs.create(model=NAME, training_file="file-none")
    assert file.value.param == "training_file"


def test_jobs_and_models_at_the_command_line(running: Running, trained: Trained) -> None:
    there = tunewright("jobs", "list", "--server", running.url, "--json")
    here = tunewright("jobs", "list", "--workspace", running.workspace, "--json")
    assert there.code == here.code == 0
    assert [job["id"] for job in there.document] == [job["id"] for job in here.document]
    job, model = trained.job.id, trained.job.fine_tuned_model
    assert model is not None
    assert model in tunewright("jobs", "show", job, "--server", running.url).out
    followed = tunewright("jobs", "follow", job, "--server", running.url)
    assert followed.code == 0
    assert model in followed.out
    failed = next(job for job in there.document if job["status"] == "failed")
    assert tunewright("jobs", "follow", failed["id"], "--server", running.url).code == 1
    assert NAME in tunewright("models", "list", "--server", running.url).out
    asked = ("chat", model, "--server", running.url, "--message", "red lamp")
    answered = tunewright(*asked, "--json")
    assert answered.code == 0, answered.document
    assert isinstance(answered.document["answer"], str)
    unknown = tunewright("chat", "nobody", "--server", running.url, "--message", "x")
    assert unknown.code == 2
    assert "nobody" in unknown.err
