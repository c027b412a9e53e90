"""Files of many kinds, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.data.readers import read_file
from tunewright.data.rows import Fault, Row


def rows_and_faults(path: Path, **options: Any) -> tuple[list[Row], list[Fault]]:
    """What a file gives, apart."""
    read = list(read_file(path, **options))
    return [row for row in read if isinstance(row, Row)], [row for row in read if isinstance(row, Fault)]


def write_zip(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_docx(path: Path, body: str, *, styles: str = "", title: str = "") -> Path:
    """A Word document whose body is given as WordprocessingML."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    members = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>",
    }
    if styles:
        members["word/styles.xml"] = f"<w:styles {space}>{styles}</w:styles>"
    if title:
        members["docProps/core.xml"] = (
            f'<core xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></core>'
        )
    return write_zip(path, members)


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of WordprocessingML."""
    mark = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{mark}<w:r><w:t>{text}</w:t></w:r></w:p>"


def write_xlsx(path: Path, rows: Sequence[Sequence[Any]], **more: Sequence[Sequence[Any]]) -> Path:
    """A workbook with the sheet `first`, and others by name."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "first"
    for values in rows:
        book.active.append(list(values))
    for name, others in more.items():
        sheet = book.create_sheet(name)
        for values in others:
            sheet.append(list(values))
    book.save(path)
    return path


def write_pdf(path: Path, pages: Sequence[str | None], *, title: str = "") -> Path:
    """A PDF with a line of text on each page; None: a picture alone; empty: nothing."""
    import pypdf
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 200)
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        names = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
        stream = DecodedStreamObject()
        if text is None:
            picture = DictionaryObject({NameObject("/Im1"): writer._add_object(DecodedStreamObject())})
            resources = DictionaryObject({NameObject("/XObject"): picture})
        else:
            resources = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F1"): names})})
            stream.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode("latin-1"))
        page[NameObject("/Resources")] = resources
        page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    content = io.BytesIO()
    writer.write(content)
    path.write_bytes(content.getvalue())
    return path


PAGE = """<!DOCTYPE html><html><head><title>Returns</title><script>var x = 1;</script></head><body>
<nav><a href="/">Home</a><a href="/shop">Shop</a></nav>
<article><h1>How to return a lamp</h1>
<p>Lamps may be returned within thirty days, in the box that they came in, with all of their parts.</p>
<p>The money is paid back within a week, to the card that the lamp was paid with in the first place.</p></article>
<footer>All rights reserved</footer></body></html>"""

MAILBOX = b"""From ana@example.org Mon Jan 05 10:00:00 2026
From: Ana <ana@example.org>
To: help@example.org
Subject: =?utf-8?q?Lamp_k=C3=A4putt?=
Date: Mon, 05 Jan 2026 10:00:00 +0100

The lamp is broken.
>From here on it is dark.

From bo@example.org Tue Jan 06 11:00:00 2026
From: bo@example.org
Subject: Invoice
Date: Tue, 06 Jan 2026 11:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p>Where is my <b>invoice</b>?</p><style>p {}</style>
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename=a.pdf

%PDF-
--b--
"""
