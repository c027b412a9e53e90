"""Prose: sections of Markdown, whole texts, and what tells them from tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.made import rows_and_faults
from tunewright.data import limits
from tunewright.data.readers import sniff
from tunewright.data.rows import Row


def test_sections_carry_the_headings_above_them(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("intro\n\n# Lamp #\none\n\n## Parts\n```\n# no heading\n```\n\n# Chair\ntwo, three\n")
    assert rows_and_faults(path)[0] == [
        Row({"text": "intro", "title": "Lamp", "section": ""}, "a.md", 1),
        Row({"text": "one", "title": "Lamp", "section": "Lamp"}, "a.md", 4),
        Row({"text": "```\n# no heading\n```", "title": "Lamp", "section": "Lamp > Parts"}, "a.md", 7),
        Row({"text": "two, three", "title": "Lamp", "section": "Chair"}, "a.md", 12),
    ]


def test_headings_alone_are_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Lamp\n## Parts\n")
    assert "headings, and no text" in rows_and_faults(path)[1][0].reason


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Dear all, good morning\nit rains, again\n", "text"),
        ("First; second\nthird\n", "text"),
        ("One line, alone", "text"),
        ("text,label\nx,y\n", "csv"),
        ("a\tb\n1\t2\n", "tsv"),
        ('{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("[1] a footnote, and more\n", "text"),
    ],
)
def test_prose_is_no_table_for_having_a_comma(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert sniff(path) == kind


def test_a_text_is_one_row_titled_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "the lamp.txt"
    path.write_bytes("\ufeffOne.\n\nTwo.\n".encode())
    assert rows_and_faults(path)[0] == [Row({"text": "One.\n\nTwo.\n", "title": "the lamp"}, "the lamp.txt", 1)]


def test_texts_that_are_none_are_faults_with_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntw\xe9\n")
    assert str(rows_and_faults(path)[1][0]).startswith("a.txt:2: byte 0xE9 at position 3 is not UTF-8")
    path.write_bytes(b"one\n\0\n")
    assert str(rows_and_faults(path)[1][0]) == "a.txt:2: this file holds zero bytes, and is no text"
    monkeypatch.setattr(limits, "MOST_DOCUMENT_BYTES", 10)
    path.write_bytes(b"eleven bytes")
    assert "larger than 10 bytes" in rows_and_faults(path)[1][0].reason
