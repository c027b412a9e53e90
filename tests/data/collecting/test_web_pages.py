"""Lists of pages: good ones are rows, others faults at their line, and none is asked for twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.collecting.site import page, site
from tunewright.base.errors import DataError
from tunewright.data.collecting.web import Web
from tunewright.data.collecting.web_pages import page_rows
from tunewright.data.rows import Fault, Row

TEXT = "The lamp may be returned within thirty days, in the box that it came in, with all of its parts inside."


def test_a_list_of_pages(tmp_path: Path) -> None:
    pages = {
        "/a": page(TEXT, "Returns"),
        "/latin": (
            200,
            {"Content-Type": "text/html; charset=iso-8859-1"},
            f"<html><body><article><p>Grüße. {TEXT}</p></article></body></html>".encode("latin-1"),
        ),
        "/pdf": (200, {"Content-Type": "application/pdf"}, b"%PDF-1.7"),
        "/empty": page(""),
    }
    told: list[tuple[int, int]] = []
    with site(pages) as (address, asked):
        listed = tmp_path / "list.urls"
        lines = ["# pages", "", f"{address}/a", f"{address}/latin", f"{address}/pdf", f"{address}/empty"]
        listed.write_text("\n".join([*lines, f"{address}/none", "http://10.0.0.1/x", "no address"]))
        rows = []
        for _ in range(2):
            web = Web(allowed=("127.0.0.1",), pause_s=0)
            rows.append(list(page_rows(listed, tmp_path / "pages", web, lambda *done: told.append(done))))
            web.close()
        first, again = rows
        assert first == again
        assert asked.count("/a") == 1
    found = [row for row in first if isinstance(row, Row)]
    assert [row.line for row in found] == [3, 4]
    assert found[0].values == {"text": TEXT, "title": "Returns", "url": f"{address}/a"}
    assert "Grüße" in found[1].values["text"]
    faults = {row.line: row.reason for row in first if isinstance(row, Fault)}
    assert list(faults) == [5, 6, 7, 8, 9]
    assert "application/pdf, and no page" in faults[5]
    assert "shows no text" in faults[6]
    assert "answered 404" in faults[7]
    assert "no public address" in faults[8]
    assert "no http:// or https:// address" in faults[9]
    assert told[:3] == [(0, 7), (1, 7), (2, 7)]
    assert told[-1] == (7, 7)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "list.urls"
    listed.write_text("# nothing\n")
    web = Web(pause_s=0)
    with pytest.raises(DataError, match="list of pages is empty"):
        list(page_rows(listed, tmp_path, web, lambda *done: None))
    web.close()
