"""What issue 4 asks of redaction, on a small draw of the bench's rows; the rules were not developed on them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture
def redaction(monkeypatch: pytest.MonkeyPatch) -> object:
    """The bench's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "bench"))
    import redaction

    yield redaction
    del sys.modules["redaction"]


def test_recall_and_precision(redaction) -> None:  # type: ignore[no-untyped-def]
    found = redaction.measure(rows=800, seed=5)
    assert found["planted"]["name"] > 200
    assert found["planted"]["structured"] > 100
    assert found["structured_recall"] >= 0.99
    assert found["name_recall"] >= 0.90
    assert found["name_precision"] >= 0.95
    assert found["precision"] >= 0.95
    assert found["number_hits"] == 0


def test_a_name_that_is_known_proves_nothing(redaction) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit, match="Anna"):
        redaction.check_names(["Zorvath-Anna"], [])


def test_what_is_measured_is_what_was_replaced(redaction) -> None:  # type: ignore[no-untyped-def]
    assert list(redaction.replaced("a.b Zed, 12 c", "a.b [NAME], [CARD] c")) == [("name", 4, 7), ("card", 9, 11)]
    rows = [redaction.Row("Zed 12", (("name", 0, 3),)), redaction.Row("Zed Yod", (("name", 0, 7),), "people")]
    figures, missed, wrong = redaction.compare(rows, ["[NAME] [CARD]", "[NAME] Yod"])
    assert figures["name_recall"] == 0.5
    assert figures["name_precision"] == 1.0
    assert figures["precision"] == pytest.approx(2 / 3)
    assert missed == [("name", "Zed Yod", "Zed Yod")]
    assert wrong == [("card", "12", "Zed 12")]
