"""Passages of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.data.documents import Section, read_documents
from tunewright.data.rows import Fault
from tunewright.data.synthesis.passages import draw_passages, passages
from tunewright.recipe.schema import Source


def _paragraphs(count: int, words: int = 60) -> str:
    return "\n\n".join(" ".join(f"p{number}w{word}" for word in range(words)) for number in range(count))


def test_a_document_is_cut_at_empty_lines_and_nothing_is_lost() -> None:
    text = _paragraphs(30)
    found = list(passages([Section("d", "a.md", 1, text)]))
    assert all(text[each.start : each.start + len(each.text)] == each.text for each in found)
    assert "\n\n".join(each.text for each in found) == text
    assert all(80 <= len(each.text) <= 2500 for each in found)
    assert len(found) > 5


def test_without_empty_lines_it_is_cut_at_sentences_else_at_words() -> None:
    sentences = " ".join(f"This is the sentence with the number {number}." for number in range(200))
    for each in passages([Section("d", "a.md", 1, sentences)]):
        assert each.text.startswith("This is")
        assert each.text.endswith(".")
    words = "word " * 2000
    assert all(each.text.startswith("word") for each in passages([Section("d", "a.md", 1, words)]))
    assert [len(each.text) for each in passages([Section("d", "a.md", 1, "x" * 6000)])] == [2500, 2500, 1000]


def test_places_run_on_over_the_sections_of_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.data.documents.SECTION_CHARACTERS", 4000)
    text = _paragraphs(40)
    path = tmp_path / "long.md"
    path.write_text(text, encoding="utf-8")
    source = Source(path=str(path))
    found = list(passages(read_documents(source, {path: "long.md"})))
    assert all(text[each.start : each.start + len(each.text)] == each.text for each in found)
    assert {(each.source, each.line) for each in found} == {("long.md", 1)}
    two = [Section("d", "a", 1, _paragraphs(3)), Section("e", "a", 2, _paragraphs(3))]
    assert [(each.line, each.start) for each in passages(two)] == [(1, 0), (2, 0)]


def test_faults_and_short_documents_are_passed_over() -> None:
    assert list(passages([Fault("a", 1, "broken"), Section("d", "a", 2, "too short")])) == []
    with pytest.raises(DataError, match="No document holds a passage of 80 characters"):
        draw_passages(lambda: [Section("d", "a", 2, "too short")], 3, 0)


def test_passages_are_drawn_from_all_documents_and_always_the_same() -> None:
    def read() -> Iterator[Section]:
        return (Section(str(number), "a", number, _paragraphs(1)) for number in range(500))

    drawn = draw_passages(read, 40, seed=4)
    assert drawn == draw_passages(read, 40, seed=4)
    assert drawn != draw_passages(read, 40, seed=5)
    lines = [each.line for each in drawn]
    assert len(set(lines)) == 40
    assert lines != sorted(lines)
    assert 150 < sum(lines) / 40 < 350
    assert len(draw_passages(read, 1000, seed=4)) == 500
