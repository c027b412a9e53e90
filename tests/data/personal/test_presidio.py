"""Names as a model behind Presidio finds them: here a model of one rule, made on the spot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunewright.base.errors import InputError, MissingExtraError
from tunewright.data.personal.presidio import presidio_names

_LOADER = """
from pathlib import Path
from spacy.util import load_model_from_path

def load(**settings):
    return load_model_from_path(Path(__file__).parent / "data", **settings)
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed spaCy model to which everything is a person that is called Zorvath, and NAME."""
    spacy = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    pattern = [{"TEXT": {"REGEX": "^(Zorvath|NAME)"}}, {"IS_TITLE": True, "OP": "?"}]
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": pattern}])
    (tmp_path / "en_zorvath").mkdir()
    pipeline.to_disk(tmp_path / "en_zorvath" / "data")
    (tmp_path / "en_zorvath" / "__init__.py").write_text(_LOADER, encoding="utf-8")
    (tmp_path / "en_zorvath-1.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: en_zorvath\nVersion: 1.0\n"
    (tmp_path / "en_zorvath-1.0.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "en_zorvath"


def test_what_the_model_calls_a_person_is_found_but_no_tag(model: str) -> None:
    find = presidio_names(model)
    text = "I met Zorvath Lindqvister, [Zorvath] and [NAME], not Anna."
    assert [text[start:end] for start, end in find(text, None)] == ["Zorvath Lindqvister", "Zorvath"]
    assert find("", None) == []


def test_a_model_that_is_not_installed_is_not_downloaded() -> None:
    pytest.importorskip("spacy")
    with pytest.raises(InputError, match=r"'en_absent_lg' is not installed.*spacy download en_absent_lg"):
        presidio_names("en_absent_lg")


def test_presidio_itself_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[presidio\]'"):
        presidio_names("en_none")
