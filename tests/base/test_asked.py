"""Being asked to end is never lost, wherever it comes in."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tunewright.base.asked import Asked


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_is_noted() -> None:
    asked = Asked(signal.SIGTERM, signal.SIGUSR1)
    assert not asked.to_end
    os.kill(os.getpid(), signal.SIGUSR1)
    assert asked.to_end
    os.kill(os.getpid(), signal.SIGTERM)  # once more changes nothing
    assert asked.to_end


def test_it_is_noted_within_a_finaliser() -> None:
    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    asked = Asked(signal.SIGTERM)
    Dying()
    assert asked.to_end
