"""Word documents: headings in any language, tables, deletions, and XML that is meant to hurt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.readers.made import paragraph, rows_and_faults, write_docx, write_zip
from tunewright.data import limits
from tunewright.data.rows import Row


def test_sections_follow_headings_whatever_they_are_called(tmp_path: Path) -> None:
    styles = '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    body = (
        paragraph("Before all.")
        + paragraph("Lamps", "Heading1")
        + paragraph("One.")
        + paragraph("Two.")
        + paragraph("Returns", "berschrift2")
        + paragraph("Three.")
    )
    path = write_docx(tmp_path / "a.docx", body, styles=styles, title="Handbook")
    assert rows_and_faults(path)[0] == [
        Row({"text": "Before all.", "title": "Handbook", "section": ""}, "a.docx", 1),
        Row({"text": "One.\nTwo.", "title": "Handbook", "section": "Lamps"}, "a.docx", 3),
        Row({"text": "Three.", "title": "Handbook", "section": "Lamps > Returns"}, "a.docx", 6),
    ]


def test_tables_tabs_and_deletions(tmp_path: Path) -> None:
    cell = "<w:tc>" + paragraph("a") + "</w:tc><w:tc>" + paragraph("b") + "</w:tc>"
    deleted = "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:t>kept</w:t><w:tab/></w:r></w:p>"
    body = f"<w:tbl><w:tr>{cell}</w:tr></w:tbl>{deleted}<w:sdt><w:sdtContent>{paragraph('in')}</w:sdtContent></w:sdt>"
    (row,) = rows_and_faults(write_docx(tmp_path / "a.docx", body))[0]
    assert row.values == {"text": "a\tb\nkept\t\nin", "title": "a", "section": ""}


def test_entities_that_swell_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
    path = write_zip(tmp_path / "a.docx", {"[Content_Types].xml": "", "word/document.xml": bomb})
    assert "EntitiesForbidden" in rows_and_faults(path)[1][0].reason


def test_what_is_empty_broken_or_too_large_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_and_faults(write_docx(tmp_path / "a.docx", ""))[1][0].reason == "this document holds no text"
    path = write_zip(tmp_path / "b.docx", {"[Content_Types].xml": "", "word/document.xml": "<w:document"})
    assert "cannot be read" in rows_and_faults(path)[1][0].reason
    monkeypatch.setattr(limits, "MOST_DOCUMENT_BYTES", 1000)
    path = write_docx(tmp_path / "c.docx", paragraph("x" * 2000))
    assert "unpacks to more than 1,000 bytes" in rows_and_faults(path)[1][0].reason
