import errno
import multiprocessing
import os
import time

import pytest

from tests.models.making import write_fake_model
from tunewright.base.errors import DiskFullError, InputError, ModelError, WorkspaceError
from tunewright.base.events import Message, Stage
from tunewright.models import catalog
from tunewright.models.catalog import Entry
from tunewright.models.resolve import MANIFEST, pull, resolve
from tunewright.models.sources import folder as folder_source


def entry(*paths, kind="causal-lm"):
    sources = [{"name": "folder", "path": str(path)} for path in paths]
    facts = {"name": "tiny", "kind": kind, "licence": "mit", "context_length": 99, "parameters": 4, "strengths": "-"}
    return {"tiny": Entry.model_validate({**facts, "embedded": True, "sources": sources})}


def failing_with(code):
    def fetch(*_):
        raise OSError(code, os.strerror(code))

    return fetch


@pytest.fixture
def model(tmp_path):
    return write_fake_model(tmp_path / "original")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def tiny(model, monkeypatch):
    monkeypatch.setattr(catalog, "entries", lambda: entry(model))


def test_catalogue_name_is_fetched_into_the_cache_with_the_catalogues_facts(tiny, cache, model):
    files = resolve("tiny", cache)
    assert files.folder == cache / "models" / "tiny"
    assert (files.licence, files.context_length, files.source) == ("mit", 99, f"folder {model}")
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        MANIFEST,
    ]


def test_what_is_cached_asks_no_source(tiny, cache, monkeypatch):
    first = resolve("tiny", cache)
    monkeypatch.setattr(folder_source, "fetch", lambda *_: pytest.fail("asked a source"))
    events = []
    assert resolve("tiny", cache, events.append) == first
    assert events == []


def test_a_damaged_cache_is_reported_and_fetched_again(tiny, cache):
    first = resolve("tiny", cache)
    weights = first.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    events = []
    assert resolve("tiny", cache, events.append) == first
    assert weights.read_bytes()[-1] == 0
    assert [event.level for event in events if isinstance(event, Message)] == ["warning"]
    assert not list((cache / "models").glob(".tiny*"))


def test_the_next_source_is_tried_and_the_reason_told(model, cache, monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "entries", lambda: entry(tmp_path / "nowhere", model))
    events = []
    assert resolve("tiny", cache, events.append).source == f"folder {model}"
    (message,) = [event.text for event in events if isinstance(event, Message)]
    assert "nowhere" in message
    assert "no such folder" in message


def test_when_nothing_works_every_try_is_told_and_nothing_is_left(cache, monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "entries", lambda: entry(tmp_path / "here", tmp_path / "there"))
    with pytest.raises(ModelError, match=r"(?s)could not be fetched.*here.*there") as caught:
        resolve("tiny", cache)
    assert caught.value.exit_code == 2
    assert not (cache / "models" / "tiny").exists()
    assert not list((cache / "models").glob(".tiny*.part"))


def test_files_of_another_kind_than_the_catalogue_says_are_refused(model, cache, monkeypatch):
    monkeypatch.setattr(catalog, "entries", lambda: entry(model, kind="text-encoder"))
    with pytest.raises(ModelError, match="causal-lm where the catalogue says text-encoder"):
        resolve("tiny", cache)


def test_a_folder_is_used_where_it_lies_and_left_alone(model, cache):
    before = sorted(path.name for path in model.iterdir())
    files = resolve(str(model), cache)
    assert files.folder == model
    assert sorted(path.name for path in model.iterdir()) == before
    events = []
    assert resolve(str(model), cache, events.append) == files
    assert events == []


def test_a_folder_whose_weights_changed_is_another_base(model, cache):
    before = resolve(str(model), cache).weights_hash
    write_fake_model(model, weights=b"\1" * 16)
    assert resolve(str(model), cache).weights_hash != before


def test_a_relative_folder_is_found_from_the_working_directory(model, cache, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert resolve("./original", cache).folder == model


@pytest.mark.parametrize("name", ["/no/such/folder", "/no/such/file.gguf", "smollm2-135m-instuct", "tiny model"])
def test_what_does_not_exist_is_refused_as_wrong_input(name, cache):
    with pytest.raises(InputError) as caught:
        resolve(name, cache)
    assert caught.value.exit_code == 2


def test_an_unknown_name_says_what_it_may_have_meant(cache):
    with pytest.raises(ModelError, match=r"Did you mean 'smollm2-135m-instruct'.*A hub id"):
        resolve("smollm2-135m-instuct", cache)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written_is_named(tiny, cache, monkeypatch, code):
    monkeypatch.setattr(folder_source, "fetch", failing_with(code))
    with pytest.raises(WorkspaceError, match="cannot be written"):
        resolve("tiny", cache)


def test_a_full_disk_ends_it_without_trying_other_sources(tiny, cache, monkeypatch):
    monkeypatch.setattr(folder_source, "fetch", failing_with(errno.ENOSPC))
    with pytest.raises(DiskFullError) as caught:
        resolve("tiny", cache)
    assert caught.value.exit_code == 2
    assert [path.name for path in (cache / "models").iterdir()] == [".locks"]


def test_pull_brings_every_embedded_model(tiny, cache):
    events = []
    (files,) = pull(["embedded", "tiny"], cache, events.append)
    assert files.name == "tiny"
    ends = [event for event in events if isinstance(event, Stage) and event.status == "finished"]
    assert [event.name for event in ends] == ["copy tiny", "hash tiny", "pull tiny"]
    assert ends[0].done == ends[0].total > 0


def test_pull_refuses_unknown_names_before_it_fetches_anything(tiny, cache):
    with pytest.raises(ModelError, match="'nosuch' is unknown"):
        pull(["tiny", "nosuch"], cache)
    assert not (cache / "models" / "tiny").exists()


def _resolve_in_child(model, cache, queue, die):
    catalog.entries = lambda: entry(model)

    def listener(event):
        if isinstance(event, Stage) and event.name.startswith("copy") and event.status == "progress":
            if die:
                os._exit(9)
            time.sleep(0.2)  # long enough for the other process to meet the lock

    queue.put(resolve("tiny", cache, listener).weights_hash)


def _children(model, cache, count, die=False):
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    children = [context.Process(target=_resolve_in_child, args=(model, cache, queue, die)) for _ in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    return queue, [child.exitcode for child in children]


def test_two_processes_at_once_both_succeed(model, cache):
    queue, codes = _children(model, cache, 2)
    assert codes == [0, 0]
    assert queue.get() == queue.get()


def test_a_process_killed_in_the_middle_leaves_nothing_that_is_used(tiny, model, cache):
    _, codes = _children(model, cache, 1, die=True)
    assert codes == [9]
    assert list((cache / "models").glob(".tiny.*.part"))
    assert not (cache / "models" / "tiny").exists()
    assert resolve("tiny", cache).name == "tiny"
    assert not list((cache / "models").glob(".tiny.*.part"))
