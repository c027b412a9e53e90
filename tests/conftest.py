"""For all tests: what is drawn at random is drawn the same each time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")
