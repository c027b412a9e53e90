"""Fine-tuning over the API: every field, every refusal, and lists in pages."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from tests.lifecycle.jobs.made import MODEL, chat_rows, made_workspace, uploaded
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.jobs import CHECKPOINT
from tunewright.server.app import build_app
from tunewright.server.context import Server
from tunewright.store import Workspace

JOBS = "/v1/fine_tuning/jobs"
REINFORCED = "method.reinforcement"
GRADER = f"{REINFORCED}.grader"
EXACT = {
    "type": "string_check",
    "name": "exact",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.right}}",
}
JUDGE = {"type": "score_model", "name": "judge", "model": "gpt-none", "input": [{"role": "user", "content": "Good?"}]}


def reinforced(**settings: Any) -> dict[str, Any]:
    """The method of a reinforcement job."""
    return {"method": {"type": "reinforcement", "reinforcement": {"grader": EXACT, **settings}}}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return made_workspace(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def file(workspace: Workspace) -> str:
    return uploaded(workspace, chat_rows(12))


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> TestClient:
    nobody: Any = None  # these routes ask no model
    return TestClient(build_app(Server(workspace, nobody)), raise_server_exceptions=False)


def made(client: TestClient, file: str, **more: Any) -> dict[str, Any]:
    answer = client.post(JOBS, json={"model": MODEL, "training_file": file, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_job_has_every_field_of_openais(client: TestClient, file: str) -> None:
    job = made(client, file)
    assert set(job) >= set(FineTuningJob.model_fields)
    assert FineTuningJob.model_validate(job, strict=True).status == "validating_files"
    assert job["object"] == "fine_tuning.job"
    assert (job["model"], job["training_file"], job["validation_file"]) == (MODEL, file, None)
    unknown = dict.fromkeys(("n_epochs", "batch_size", "learning_rate_multiplier"), "auto")
    assert job["hyperparameters"] == unknown
    assert job["method"] == {"type": "supervised", "supervised": {"hyperparameters": unknown}}
    assert (job["result_files"], job["integrations"], job["error"], job["fine_tuned_model"]) == ([], [], None, None)
    assert client.get(f"{JOBS}/{job['id']}").json() == job


def test_what_is_asked_for_is_kept(client: TestClient, file: str) -> None:
    dpo = {"hyperparameters": {"beta": 0.2, "n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.1}}
    job = made(
        client,
        file,
        validation_file=file,
        suffix="my-desk",
        seed=42,
        metadata={"team": "a.b"},
        method={"type": "dpo", "dpo": dpo},
        integrations=[{"type": "wandb", "wandb": {"project": "p", "tags": ["t"]}}],
        something_new=1,
    )
    assert job["method"] == {"type": "dpo", "dpo": dpo}
    assert (job["seed"], job["metadata"], job["user_provided_suffix"]) == (42, {"team": "a.b"}, "my-desk")
    assert job["integrations"][0]["wandb"] == {"project": "p", "entity": None, "name": None, "tags": ["t"]}
    older = made(client, file, hyperparameters={"n_epochs": 3})
    assert older["hyperparameters"]["n_epochs"] == older["method"]["supervised"]["hyperparameters"]["n_epochs"] == 3


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": None}, "model"),
        ({"model": "gpt-none"}, "model"),
        ({"training_file": "file-none"}, "training_file"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"suffix": ""}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"suffix": "a:b"}, "suffix"),
        ({"seed": "42"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": 1.5}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"batch_size": True}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.1}}}}, "method.dpo.hyperparameters.beta"),
        ({"method": {"type": "magic"}}, "method.type"),
        ({"method": {"type": "reinforcement"}}, "method.reinforcement.grader"),
        ({"method": {"type": "reinforcement", "reinforcement": {"grader": {"type": "taste"}}}}, f"{GRADER}.type"),
        (reinforced(grader={**EXACT, "operation": "near"}), f"{GRADER}.operation"),
        (reinforced(grader={**EXACT, "input": "{{row.text}}"}), GRADER),
        (reinforced(grader={"type": "python", "name": "p", "source": "def grade(sample, item): return 1"}), GRADER),
        (reinforced(grader=JUDGE), GRADER),
        (reinforced(hyperparameters={"compute_multiplier": 0}), f"{REINFORCED}.hyperparameters.compute_multiplier"),
        (reinforced(hyperparameters={"eval_samples": 11}), f"{REINFORCED}.hyperparameters.eval_samples"),
        (reinforced(hyperparameters={"reasoning_effort": "great"}), f"{REINFORCED}.hyperparameters.reasoning_effort"),
        (reinforced(response_format={"type": "json_object"}), f"{REINFORCED}.response_format"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"key": "x" * 513}}, "metadata.key"),
        ({"integrations": [{"type": "other", "wandb": {"project": "p"}}]}, "integrations[0].type"),
    ],
)
def test_wrong_requests_name_their_field(client: TestClient, file: str, wrong: dict[str, Any], param: str) -> None:
    answer = client.post(JOBS, json={"model": MODEL, "training_file": file, **wrong})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["message"].endswith(".")
    assert "Value error" not in error["message"]


def test_a_reinforcement_job_is_openais(client: TestClient, file: str) -> None:
    asked = {"n_epochs": 2, "compute_multiplier": 0.5, "reasoning_effort": "low"}
    job = made(client, file, **reinforced(hyperparameters=asked))
    checked = FineTuningJob.model_validate(job, strict=True)
    assert checked.method is not None
    method = checked.method.reinforcement
    assert method is not None
    assert method.grader.type == "string_check"
    assert method.hyperparameters is not None
    found = method.hyperparameters.model_dump()
    assert found == {
        **dict.fromkeys(("batch_size", "learning_rate_multiplier", "eval_interval", "eval_samples"), "auto"),
        "max_completion_tokens": "auto",  # which is not OpenAI's, and no offence to its client
        **asked,
    }


def test_settings_of_another_method_are_not_looked_at(client: TestClient, file: str) -> None:
    other = {"type": "supervised", "reinforcement": {"grader": {"type": "taste"}, "response_format": {"type": "x"}}}
    assert made(client, file, method=other)["method"]["type"] == "supervised"


def test_what_is_available_is_said(client: TestClient, file: str) -> None:
    answer = client.post(JOBS, json={"model": MODEL, "training_file": file, "hyperparameters": {"n_epochs": 99}})
    said = "Invalid 'hyperparameters.n_epochs': must be a whole number from 1 to 50, or 'auto'."
    assert answer.json()["error"]["message"] == said


def test_states_change_and_unknown_jobs_are_named(client: TestClient, workspace: Workspace, file: str) -> None:
    job = made(client, file)["id"]
    assert client.post(f"{JOBS}/{job}/pause").status_code == 200
    assert client.post(f"{JOBS}/{job}/resume").status_code == 200
    assert client.post(f"{JOBS}/{job}/cancel").json()["status"] == "cancelled"
    refused = client.post(f"{JOBS}/{job}/pause")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_status")
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/pause"), ("GET", "/events")):
        gone = client.request(method, f"{JOBS}/ftjob-none{path}")
        assert gone.status_code == 404
        assert gone.json()["error"]["message"] == "No such fine-tuning job: ftjob-none"
    elsewhere = client.get(f"{JOBS}/{job}", headers={"OpenAI-Project": "other"})
    assert elsewhere.status_code == 404


def test_lists_come_in_pages_and_by_metadata(client: TestClient, file: str) -> None:
    ids = [made(client, file, metadata={"batch": "pages", "n": str(number)})["id"] for number in range(3)]
    first = client.get(JOBS, params={"metadata[batch]": "pages", "limit": 2}).json()
    assert [job["id"] for job in first["data"]] == ids[:0:-1]
    assert (first["object"], first["has_more"]) == ("list", True)
    second = client.get(JOBS, params={"metadata[batch]": "pages", "limit": 2, "after": first["last_id"]}).json()
    assert ([job["id"] for job in second["data"]], second["has_more"]) == (ids[:1], False)
    assert client.get(JOBS, params={"metadata[n]": "1"}).json()["data"][0]["id"] == ids[1]
    nothing = client.get(JOBS, params={"metadata": "null", "limit": 100}).json()["data"]
    assert nothing
    assert all(job["metadata"] is None for job in nothing)


def test_events_and_checkpoints_are_openais(client: TestClient, workspace: Workspace, file: str) -> None:
    job = workspace.record("job", made(client, file)["id"])
    data = {"step": 1, "total_steps": 2, "train_loss": 0.5}
    jobs.tell(workspace, job, "step 1", "Step 1/2: training loss=0.50", data=data)
    events = client.get(f"{JOBS}/{job.id}/events", params={"limit": 2}).json()
    assert [event["type"] for event in events["data"]] == ["metrics", "message"]
    assert events["has_more"]
    for event in events["data"]:
        FineTuningJobEvent.model_validate(event, strict=True)
        assert set(event) == set(FineTuningJobEvent.model_fields)
    body = {
        "fine_tuned_model_checkpoint": "ft:x:ckpt-step-1",
        "fine_tuning_job_id": job.id,
        "metrics": {"step": 1, "train_loss": 0.5},
        "step_number": 1,
    }
    workspace.add_record(CHECKPOINT, body, id="ftckpt_1", parent=job.id)
    (checkpoint,) = client.get(f"{JOBS}/{job.id}/checkpoints").json()["data"]
    FineTuningJobCheckpoint.model_validate(checkpoint, strict=True)
    assert set(checkpoint) == set(FineTuningJobCheckpoint.model_fields)


def test_checkpoints_are_shared_with_projects(client: TestClient, workspace: Workspace) -> None:
    name = "ft:org/tiny:acme:desk:abc"
    fields = {"base": "x", "base_hash": "x", "adapter": "x", "template": {}, "recipe": {}, "parent": "x"}
    workspace.add_record("model", {**fields, "owner": "acme", "job": ""}, id=name)
    path = "/v1/fine_tuning/checkpoints/ft:org%2Ftiny:acme:desk:abc/permissions"
    granted = client.post(path, json={"project_ids": ["proj_b", "proj_a", "proj_b"]}).json()
    assert [each["project_id"] for each in granted["data"]] == ["proj_b", "proj_a"]
    assert {each["object"] for each in granted["data"]} == {"checkpoint.permission"}
    assert client.post(path, json={"project_ids": ["proj_a"]}).json()["data"] == [granted["data"][1]]
    listed = client.get(path, params={"order": "ascending"}).json()
    assert listed["data"] == granted["data"]
    assert client.get(path, params={"limit": 1}).json()["has_more"]
    assert len(client.get(path, params={"project_id": "proj_a"}).json()["data"]) == 1
    id = granted["data"][0]["id"]
    gone = {"id": id, "object": "checkpoint.permission", "deleted": True}
    assert client.delete(f"{path}/{id}").json() == gone
    assert client.delete(f"{path}/{id}").status_code == 404
    assert client.get("/v1/fine_tuning/checkpoints/ft:none/permissions").status_code == 404
    assert client.post(path, json={"project_ids": []}).status_code == 400
