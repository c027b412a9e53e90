"""Models in memory: shared, loaded once, and evicted where room is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.serving.worlds import add_adapter, make_workspace
from tests.tiny import tiny_folder
from tunewright.base.errors import BusyError, ModelError, OutOfMemoryError
from tunewright.lifecycle.serving import fleet as fleets
from tunewright.lifecycle.serving.asking import ask_chat
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.lifecycle.serving.names import UnknownModelError, find_served, set_alias
from tunewright.lifecycle.serving.needs import needs_of
from tunewright.models.packing import packs
from tunewright.store import Workspace

CACHE = 4 << 20


def make_fleet(workspace: Workspace, memory_bytes: int = 256 << 20, **more: Any) -> Fleet:
    return Fleet(workspace, memory_bytes=memory_bytes, cache_bytes=CACHE, device="cpu", **more)


def in_memory(fleet: Fleet) -> list[tuple[str, list[str]]]:
    return [(model["model"], model["adapters"]) for model in fleet.status()["models"]]


def say(fleet: Fleet, model: str) -> str:
    asked = {"model": model, "messages": [{"role": "user", "content": "a red apple"}], "max_tokens": 8}
    return ask_chat(fleet, {**asked, "temperature": 0}).text


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make_workspace(tmp_path)
    add_adapter(workspace, "first", rank=4)
    add_adapter(workspace, "second", rank=4, seed=6)
    return workspace


@pytest.fixture
def fleet(workspace: Workspace) -> Iterator[Fleet]:
    fleet = make_fleet(workspace)
    yield fleet
    fleet.stop(0.0)


def test_adapters_of_a_base_share_its_engine(fleet: Fleet) -> None:
    with fleet.seat("first") as first, fleet.seat("second") as second, fleet.seat("tiny") as base:
        assert first.engine is second.engine is base.engine is not None
        assert len({first.adapter, second.adapter, base.adapter}) == 3
        assert len({first.fingerprint, second.fingerprint, base.fingerprint}) == 3
        assert in_memory(fleet) == [("first", ["first", "second"])]
        assert fleet.status()["models"][0]["users"] == 3
    first.leave()  # a second time, which does nothing
    assert fleet.status()["models"][0]["users"] == 0
    assert len({say(fleet, name) for name in ("first", "second", "tiny")}) == 3


def test_other_methods_have_an_engine_of_their_own_and_say_what_they_learned(
    workspace: Workspace, fleet: Fleet
) -> None:
    from tunewright.generate import generate
    from tunewright.lifecycle.serving.loading import load_tuned

    for name, method in (("prompted", "prompt"), ("whole", "full"), ("narrow", "bottleneck")):
        served = add_adapter(workspace, name, method=method, seed=9)
        needs = needs_of(workspace, served)
        assert needs.adapter is not None
        loaded = load_tuned(needs.files, needs.adapter, served.template, longest=0, label=name, device="cpu")
        with fleet.seat(name) as seat:
            assert seat.adapter == ""
            assert seat.chat is not None
            prompt = seat.chat.prompt([*read("a red apple")])
        (expected,) = generate(loaded.model, [prompt], max_new_tokens=8, stop_ids=loaded.chat.stop_ids)
        assert say(fleet, name) == loaded.chat.decode(expected.tokens)
    assert [model for model, _ in in_memory(fleet)] == ["prompted", "whole", "narrow"]
    form = {
        "model": "narrow",
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_object"},
    }
    assert ask_chat(fleet, {**form, "max_tokens": 4}).text.startswith("{")


def read(text: str) -> Any:
    from tunewright.models.chat import Turn

    return [Turn("user", text)]


def test_the_first_who_ask_wait_for_one_load(workspace: Workspace) -> None:
    opened = []

    def opening(base: Any, settings: Any) -> Any:
        opened.append(settings.memory_bytes)
        return fleets._open_engine(base, settings)

    fleet = make_fleet(workspace, open_engine=opening)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(say(fleet, "first"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [CACHE]
    assert (len(answers), len(set(answers))) == (5, 1)
    fleet.stop(0.0)


def test_what_was_idle_longest_makes_room(workspace: Workspace, tmp_path: Path) -> None:
    tiny_folder(tmp_path / "other", 2)
    set_alias(workspace, "other", str(tmp_path / "other"))
    size = needs_of(workspace, find_served(workspace, "tiny")).size
    fleet = make_fleet(workspace, memory_bytes=CACHE + 2 * size)  # room for one model with adapters
    say(fleet, "first")
    say(fleet, "second")
    with fleet.seat("first"):
        with pytest.raises(BusyError, match="no room for other") as busy:
            fleet.seat("other")
        assert busy.value.retry_after_s > 0
    assert in_memory(fleet)[0][0] == "first"
    say(fleet, "other")
    assert in_memory(fleet) == [("other", [])]
    before = say(fleet, "first")
    assert in_memory(fleet) == [("first", ["first"])]
    assert say(fleet, "first") == before
    fleet.stop(0.0)


@pytest.mark.parametrize(("much", "copies"), [(True, 1), (False, 0)])
def test_weights_are_packed_where_there_is_room_for_others_beside(
    workspace: Workspace, much: bool, copies: int
) -> None:
    size = needs_of(workspace, find_served(workspace, "tiny")).size
    fleet = make_fleet(workspace, memory_bytes=2 * (CACHE + 2 * size) if much else CACHE + 2 * size)
    copies *= packs(size, "float32", "cpu")
    with fleet.seat("tiny") as seat:
        assert seat.engine is not None
        assert seat.engine.settings.packs is bool(copies)
    assert fleet.status()["used_bytes"] == CACHE + (1 + copies) * size
    fleet.stop(0.0)


def test_an_idle_adapter_goes_before_its_engine(workspace: Workspace) -> None:
    needs = needs_of(workspace, find_served(workspace, "first"))
    base = needs_of(workspace, find_served(workspace, "tiny"))
    fleet = make_fleet(workspace, memory_bytes=CACHE + base.size + needs.adapter_size * 3 // 2)
    first = say(fleet, "first")
    engine = fleet.seat("tiny")
    engine.leave()
    say(fleet, "second")
    assert in_memory(fleet) == [("first", ["second"])]
    with fleet.seat("tiny") as again:
        assert again.engine is engine.engine
    assert say(fleet, "first") == first
    fleet.stop(0.0)


def test_what_never_fits_is_refused(workspace: Workspace) -> None:
    fleet = make_fleet(workspace, memory_bytes=CACHE)
    with pytest.raises(OutOfMemoryError, match="tiny takes"):
        fleet.seat("tiny")
    assert fleet.status() == {"memory_bytes": CACHE, "used_bytes": 0, "models": []}


def test_a_base_or_template_that_was_changed_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    template = {"chat_fingerprint": "0" * 64}
    add_adapter(workspace, "strange", template=template)
    fleet = make_fleet(workspace)
    with pytest.raises(ModelError, match="chat template or tokenizer is not the one"):
        fleet.seat("strange")
    assert fleet.status()["models"][0]["users"] == 0
    tiny_folder(tmp_path / "base", 3)
    with pytest.raises(ModelError, match="It was trained on"):
        make_fleet(workspace).seat("first")
    fleet.stop(0.0)


def test_an_engine_that_gave_itself_up_is_replaced(fleet: Fleet) -> None:
    with fleet.seat("tiny") as seat:
        assert seat.engine is not None
        seat.engine.stop(0.0)
        before = seat.engine
    assert say(fleet, "tiny")
    with fleet.seat("tiny") as seat:
        assert seat.engine is not before


def test_a_stopped_fleet_takes_nothing_on(fleet: Fleet) -> None:
    fleet.start(["first"])
    assert in_memory(fleet) == [("first", ["first"])]
    fleet.stop(0.0)
    assert in_memory(fleet) == []
    with pytest.raises(BusyError, match="is stopping"):
        fleet.seat("tiny")
    fleet.start()
    assert say(fleet, "tiny")


def test_projects_see_their_own(workspace: Workspace, fleet: Fleet) -> None:
    add_adapter(workspace, "theirs", project="acme", rank=4, seed=6)
    with fleet.seat("theirs", project="acme") as seat:
        assert seat.served.name == "theirs"
    with pytest.raises(UnknownModelError):
        fleet.seat("theirs", project="others")


def test_heads_of_classes_name_classes(workspace: Workspace, fleet: Fleet) -> None:
    """A head of the order "red, green, blue", whose bias is all on one class."""
    import torch

    from tunewright.base.plugins import METHODS
    from tunewright.lifecycle.serving.names import add_model
    from tunewright.models import heads
    from tunewright.models.adapters import save_adapter
    from tunewright.models.base import load_base
    from tunewright.models.class_format import ClassFormat

    plain = find_served(workspace, "first")
    needs = needs_of(workspace, plain)
    base = load_base(needs.files)
    config = METHODS.config("lora")(rank=4)
    model = METHODS.call("lora", "attach", base.model, config, 0)
    classes = ["red", "green", "blue"]
    head = heads.attach(model, "label", classes, seed=0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if heads.is_of_head(name):
                weight.zero_()
                if weight.shape == (3,):
                    weight.copy_(torch.tensor([0.0, 5.0, 0.0]))
    assert head is not None
    format = ClassFormat(base.chat, "label", classes)

    def fill(folder: Path) -> None:
        save_adapter(model, folder, method=config, base=needs.files, chat_fingerprint=format.fingerprint)

    stored = workspace.put("adapter", fill, manifest={})
    template = {**plain.template, "classes": classes, "chat_fingerprint": format.fingerprint}
    add_model(
        workspace,
        "classes",
        base=plain.base,
        base_hash=plain.base_hash,
        adapter=stored.hash,
        template=template,
        recipe=plain.recipe,
        parent="tiny",
        owner="acme",
    )
    answer = ask_chat(fleet, {"model": "classes", "messages": [{"role": "user", "content": "grass"}], "n": 2})
    assert [choice["message"]["content"] for choice in answer.body["choices"]] == ["green", "green"]
    assert answer.body["choices"][0]["finish_reason"] == "stop"
    assert answer.usage["completion_tokens"] == 0
