"""For tests by meaning: a tiny text encoder made on the spot, and a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.making import write_encoder
from tunewright.data.meaning.embedding import Embedder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture
def embedder(encoder_folder: Path, tmp_path: Path) -> Embedder:
    return Embedder.open(str(encoder_folder), tmp_path / "cache")
