from __future__ import annotations

import gc
import os
import weakref

import pytest

from tunewright.base.memory import give_back, return_freed_pages


def test_a_persons_own_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "muzzy_decay_ms:9")
    return_freed_pages()
    assert os.environ["_RJEM_MALLOC_CONF"] == "muzzy_decay_ms:9"


def test_else_pages_go_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RJEM_MALLOC_CONF", "")
    monkeypatch.delenv("_RJEM_MALLOC_CONF")
    return_freed_pages()
    assert "muzzy_decay_ms:0" in os.environ["_RJEM_MALLOC_CONF"]


def test_what_only_a_cycle_holds_is_freed() -> None:
    class Held:
        pass

    gc.disable()
    try:
        first, second = Held(), Held()
        first.other, second.other = second, first  # type: ignore[attr-defined]
        seen = weakref.ref(first)
        del first, second
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        gc.enable()
