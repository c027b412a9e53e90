"""The processor that tests compute on, as far as they may choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.models import base


def without_bfloat16(patch: pytest.MonkeyPatch) -> None:
    """`auto` is float32 also on processors that compute in bfloat16: values worked by hand are held to many digits."""
    patch.setattr(base.processor_flags, "__defaults__", (Path("/no/such/processor"),))
