"""PDF: pages, scans, passwords, and files that are broken."""

from __future__ import annotations

from pathlib import Path

from tests.data.readers.made import rows_and_faults, write_pdf
from tunewright.data.rows import Row


def test_each_page_with_text_is_a_row(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["First page", "", "Third page"], title="Manual")
    assert rows_and_faults(path) == (
        [
            Row({"text": "First page", "title": "Manual", "page": 1}, "a.pdf", 1),
            Row({"text": "Third page", "title": "Manual", "page": 3}, "a.pdf", 3),
        ],
        [],
    )


def test_pages_that_are_pictures_are_named(tmp_path: Path) -> None:
    rows, faults = rows_and_faults(write_pdf(tmp_path / "a.pdf", ["Text", None]))
    assert [row.values["title"] for row in rows] == ["a"]
    assert [(fault.line, "pictures and no text" in fault.reason) for fault in faults] == [(2, True)]


def test_a_document_without_text_is_refused_as_a_whole(tmp_path: Path) -> None:
    rows, (fault,) = rows_and_faults(write_pdf(tmp_path / "a.pdf", [None, ""]))
    assert not rows
    assert str(fault).startswith("a.pdf:1: none of this PDF's 2 pages holds text; text recognition")


def test_a_password_and_a_broken_file_are_faults(tmp_path: Path) -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=write_pdf(tmp_path / "a.pdf", ["Secret"]))
    writer.encrypt("key", algorithm="RC4-128")
    writer.write(tmp_path / "b.pdf")
    assert rows_and_faults(tmp_path / "b.pdf")[1][0].reason == "this PDF has a password"
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7\nnothing of the kind\n")
    assert "this PDF cannot be read" in rows_and_faults(tmp_path / "c.pdf")[1][0].reason
