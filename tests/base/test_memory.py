from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator

import pytest

from tunewright.base import memory
from tunewright.base.memory import LITTLE, give_back, return_freed_pages


def test_a_persons_own_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "muzzy_decay_ms:9")
    return_freed_pages()
    assert os.environ["_RJEM_MALLOC_CONF"] == "muzzy_decay_ms:9"


def test_else_pages_go_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "")
    monkeypatch.delenv("_RJEM_MALLOC_CONF")
    return_freed_pages()
    assert "muzzy_decay_ms:0" in os.environ["_RJEM_MALLOC_CONF"]


class Held:
    """One that is held by itself alone."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def cycle() -> Iterator[weakref.ref[Held]]:
    gc.disable()
    seen = weakref.ref(Held())
    assert seen() is not None
    yield seen
    gc.enable()


def test_what_only_a_cycle_holds_is_freed(cycle: weakref.ref[Held]) -> None:
    give_back()
    assert cycle() is None


def test_nor_does_it_matter_that_the_process_has_shrunk(
    cycle: weakref.ref[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_left", 1 << 50)
    give_back()
    assert cycle() is None


def test_it_is_let_be_until_the_process_has_grown(cycle: weakref.ref[Held]) -> None:
    give_back()
    seen = weakref.ref(Held())
    give_back(beyond=LITTLE)
    assert seen() is not None
    grown = b"x" * (LITTLE + (8 << 20))
    give_back(beyond=LITTLE)
    assert seen() is None
    assert grown
