"""Files through the official client, and what it cannot send through plain requests."""

from __future__ import annotations

import contextlib
import io
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient
from openai.types.file_purpose import FilePurpose

from tunewright.server.app import build_app
from tunewright.server.context import Server, Settings
from tunewright.server.routes import files as routes
from tunewright.store import Workspace, database, uploads
from tunewright.store.keys import create_key

ROWS = b'{"messages": []}\n'
LIMIT_BYTES = 5 << 20


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "ws")
    yield opened
    opened.close()


@pytest.fixture
def plain(workspace: Workspace) -> TestClient:
    nobody: Any = None  # these routes ask no model
    app = build_app(Server(workspace, nobody, Settings(max_upload_bytes=LIMIT_BYTES)))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client(plain: TestClient) -> openai.OpenAI:
    return openai.OpenAI(
        base_url="http://testserver/v1",
        api_key="none",
        http_client=plain,
        max_retries=0,
        _strict_response_validation=True,
    )


def sent(plain: TestClient, *, filename: str = "rows.jsonl", **fields: str) -> httpx.Response:
    return plain.post("/v1/files", files={"file": (filename, ROWS)}, data={"purpose": "fine-tune", **fields})


def error(answer: httpx.Response) -> dict[str, Any]:
    said: dict[str, Any] = answer.json()["error"]
    assert set(said) == {"message", "type", "param", "code"}
    return {"status": answer.status_code, **said}


def test_a_file_goes_up_and_comes_down_through_the_client(client: openai.OpenAI) -> None:
    before = int(time.time())
    made = client.files.create(file=("rows.jsonl", ROWS), purpose="fine-tune")
    assert made.id.startswith("file-")
    assert before <= made.created_at <= time.time()
    assert made.to_dict() == {
        "id": made.id,
        "object": "file",
        "bytes": len(ROWS),
        "created_at": made.created_at,
        "expires_at": None,
        "filename": "rows.jsonl",
        "purpose": "fine-tune",
        "status": "processed",
        "status_details": None,
    }
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == ROWS
    assert client.files.wait_for_processing(made.id) == made
    gone = client.files.delete(made.id)
    assert gone.to_dict() == {"id": made.id, "object": "file", "deleted": True}
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
            ask(made.id)


def test_every_purpose_of_the_client_is_taken(client: openai.OpenAI) -> None:
    client._strict_response_validation = False  # the client may send "evals", and does not expect to read it
    assert set(routes.PURPOSES) == set(get_args(FilePurpose))
    made = [client.files.create(file=("a.jsonl", io.BytesIO(ROWS)), purpose=purpose) for purpose in routes.PURPOSES]
    assert [file.purpose for file in made] == list(routes.PURPOSES)
    (batch,) = client.files.list(purpose="batch").data
    assert batch.expires_at == batch.created_at + 30 * 86_400
    assert {file.id for file in made if file.expires_at is not None} == {batch.id}
    assert client.files.list(purpose="nothing of ours").data == []


def test_files_are_listed_in_pages(client: openai.OpenAI, plain: TestClient) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", ROWS), purpose="fine-tune").id for n in range(5)]
    assert [file.id for file in client.files.list()] == made[::-1]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == made  # the client turns the pages
    page = plain.get("/v1/files", params={"limit": 2, "after": made[4]}).json()
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == ("list", made[3], made[2], True)
    assert error(plain.get("/v1/files", params={"after": "file-x"}))["param"] == "after"
    assert plain.get("/v1/files", params={"limit": 10_000}).status_code == 200
    assert error(plain.get("/v1/files", params={"limit": 10_001}))["param"] == "limit"


def test_a_file_expires_after_what_was_asked(
    client: openai.OpenAI, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    after: Any = {"anchor": "created_at", "seconds": 3600}
    made = client.files.create(file=("a.jsonl", ROWS), purpose="batch", expires_after=after)
    assert made.expires_at == made.created_at + 3600
    later_s = made.created_at + 3600.0
    monkeypatch.setattr(time, "time", lambda: later_s)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    assert client.files.list().data == []
    assert list((workspace.root / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        ({"expires_after[anchor]": "last_used_at", "expires_after[seconds]": "3600"}, "expires_after[anchor]"),
        ({"expires_after[anchor]": "created_at"}, "expires_after[seconds]"),
        *(
            ({"expires_after[anchor]": "created_at", "expires_after[seconds]": seconds}, "expires_after[seconds]")
            for seconds in ("3599", "2592001", "-1", "1e4", "", "٣٦٠٠", "9" * 5000)
        ),
        ({"purpose": "mischief"}, "purpose"),
        ({"purpose": ""}, "purpose"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_kept(
    plain: TestClient, workspace: Workspace, fields: dict[str, str], param: str
) -> None:
    said = error(sent(plain, **fields))
    assert (said["status"], said["type"], said["param"]) == (400, "invalid_request_error", param)
    assert list((workspace.root / "uploads").iterdir()) == []
    assert workspace.records("file").records == []


def test_the_longest_and_the_shortest_life_are_taken(plain: TestClient) -> None:
    for seconds in (3600, 2_592_000):
        made = sent(plain, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": str(seconds)}).json()
        assert made["expires_at"] - made["created_at"] == seconds


def test_rows_to_learn_from_must_be_jsonl(plain: TestClient) -> None:
    said = error(sent(plain, filename="rows.csv"))
    assert said["message"] == "Invalid file format for Fine-Tuning API. Must be .jsonl"
    assert said["status"] == 400
    assert "Batch API" in error(sent(plain, filename="rows.txt", purpose="batch"))["message"]
    assert sent(plain, filename="rows.csv", purpose="user_data").status_code == 200
    assert sent(plain, filename="ROWS.JSONL").status_code == 200


def test_a_form_without_file_or_purpose_is_refused(plain: TestClient) -> None:
    said = error(plain.post("/v1/files", files={"file": ("a.jsonl", ROWS)}))
    assert (said["message"], said["param"]) == ("'purpose' is a required property", "purpose")
    said = error(plain.post("/v1/files", files={"other": ("a.jsonl", ROWS)}, data={"purpose": "batch"}))
    assert (said["message"], said["param"]) == ("'file' is a required property", "file")
    assert error(plain.post("/v1/files", json={"purpose": "batch"}))["status"] == 400


def test_a_file_over_the_limit_is_refused_and_one_at_it_is_taken(plain: TestClient, workspace: Workspace) -> None:
    for bytes_over, status in ((1, 413), (0, 200)):
        content = bytes(LIMIT_BYTES + bytes_over)
        answer = plain.post("/v1/files", files={"file": ("a.bin", content)}, data={"purpose": "user_data"})
        assert answer.status_code == status
    assert len(workspace.records("file").records) == 1


def test_a_name_never_leads_anywhere(plain: TestClient, workspace: Workspace) -> None:
    made = sent(plain, filename='../../../etc/große "rows".jsonl').json()
    assert made["filename"].endswith(".jsonl")
    assert "/" not in made["filename"]
    answer = plain.get(f"/v1/files/{made['id']}/content")
    assert answer.content == ROWS
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''gro%C3%9Fe%20")
    for id in ("..%2F..%2Fetc%2Fpasswd", "%00", "file-%FF", "x" * 5000):
        assert plain.get(f"/v1/files/{id}").status_code == 404


def test_a_project_sees_its_own_files_alone(workspace: Workspace) -> None:
    nobody: Any = None
    app = TestClient(build_app(Server(workspace, nobody, Settings(keys=True))))
    owners = {}
    for project, scopes in [("red", ["read", "train"]), ("blue", ["read", "infer"]), ("red only to read", ["read"])]:
        secret, _ = create_key(workspace, name=project, scopes=scopes, project=project.split()[0])
        owners[project] = {"authorization": f"Bearer {secret}"}
    form: dict[str, Any] = {"files": {"file": ("a.jsonl", ROWS)}, "data": {"purpose": "batch"}}
    made = app.post("/v1/files", headers=owners["red"], **form).json()["id"]
    assert app.post("/v1/files", headers=owners["blue"], **form).status_code == 200
    for way in ("", "/content"):
        assert app.get(f"/v1/files/{made}{way}", headers=owners["blue"]).status_code == 404
    assert app.delete(f"/v1/files/{made}", headers=owners["blue"]).status_code == 404
    assert len(app.get("/v1/files", headers=owners["blue"]).json()["data"]) == 1
    reader = owners["red only to read"]
    assert [file["id"] for file in app.get("/v1/files", headers=reader).json()["data"]] == [made]
    assert app.post("/v1/files", headers=reader, **form).status_code == 403
    assert app.delete(f"/v1/files/{made}", headers=reader).status_code == 403
    assert app.get(f"/v1/files/{made}", headers=reader).status_code == 200


def test_expired_files_are_swept_while_the_server_runs(
    plain: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with uploads.receive(workspace, purpose="batch", expires_after_s=-1, limit_bytes=9) as upload:
        upload.write(b"old")
        folder = workspace.root / "uploads" / upload.keep().id
    monkeypatch.setattr(routes, "SWEEP_EVERY_S", 0.01)
    with plain:
        wait_until(lambda: not folder.exists())


def test_a_missing_content_is_our_fault_and_said(plain: TestClient, workspace: Workspace) -> None:
    made = sent(plain).json()["id"]
    (workspace.root / "uploads" / made / "content").unlink()
    said = error(plain.get(f"/v1/files/{made}/content"))
    assert said["status"] == 500


def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Path) -> None:
    nobody: Any = None
    workspace = Workspace.open(small_disk / "ws")
    app = TestClient(build_app(Server(workspace, nobody)))
    content = bytes(2 << 20)
    answer = app.post("/v1/files", files={"file": ("a.bin", content)}, data={"purpose": "user_data"})
    assert error(answer)["status"] == 507
    assert list((workspace.root / "uploads").iterdir()) == []
    assert sent(app).status_code == 200
    workspace.close()


@pytest.fixture
def port(workspace: Workspace) -> Iterator[int]:
    nobody: Any = None
    server = uvicorn.Server(uvicorn.Config(build_app(Server(workspace, nobody)), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_an_upload_that_breaks_off_leaves_nothing(port: int, workspace: Workspace) -> None:
    head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    form = '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    folder = workspace.root / "uploads"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall((head + form).encode() + bytes(2_000_000))
        wait_until(lambda: any(path.stat().st_size > 0 for path in folder.glob(".*.part/content")))
    wait_until(lambda: list(folder.iterdir()) == [])
    assert workspace.records("file").records == []


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_locked_database_is_said_to_pass(
    plain: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)
    with contextlib.closing(sqlite3.connect(workspace.root / "tunewright.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = sent(plain)
    said = error(answer)
    assert (said["status"], said["type"], answer.headers["retry-after"]) == (503, "server_error", "2")
    assert str(workspace.root) not in answer.text
    assert list((workspace.root / "uploads").iterdir()) == []
    assert sent(plain).status_code == 200
