"""Time and memory of a stage."""

from __future__ import annotations

import time

import pytest

from tunewright.lifecycle.meter import metered

_MB = 1_000_000


def test_the_peak_is_seen_though_the_memory_is_given_back() -> None:
    with metered() as before:
        pass
    with metered() as cost:
        block = bytearray(200 * _MB)
        time.sleep(0.3)
        del block
    assert cost.peak_memory_bytes - before.peak_memory_bytes > 150 * _MB
    assert cost.seconds >= 0.3


def test_an_earlier_peak_is_not_this_ones() -> None:
    with metered() as large:
        block = bytearray(300 * _MB)
        time.sleep(0.15)
        del block
    with metered() as small:
        time.sleep(0.15)
    assert large.peak_memory_bytes - small.peak_memory_bytes > 150 * _MB


def test_a_failure_is_metered_too() -> None:
    with pytest.raises(ValueError, match="broken"), metered() as cost:
        raise ValueError("broken")
    assert cost.peak_memory_bytes > 0
