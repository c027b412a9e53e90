"""Pages in files: the main text, in the encoding that the page names, and nothing of scripts."""

from __future__ import annotations

from pathlib import Path

from tests.data.readers.made import PAGE, rows_and_faults
from tunewright.data.prose import without_markup


def test_menus_and_scripts_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(PAGE)
    (row,) = rows_and_faults(path)[0]
    assert row.values["title"] in ("Returns", "How to return a lamp")
    assert "Lamps may be returned within thirty days" in row.values["text"]
    assert "var x" not in row.values["text"]
    assert "Shop" not in row.values["text"]
    assert "<p>" not in row.values["text"]


def test_the_encoding_is_the_pages_own(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    page = PAGE.replace("<head>", '<head><meta charset="iso-8859-1">').replace("the box", "the bôx of Zoë, à côté,")
    page = page.replace("The money", "Das Gëld\n").replace("</article>", "\n<p>Ünd möre.</p>\n</article>")
    path.write_bytes(page.encode("latin-1"))
    (row,) = rows_and_faults(path)[0]
    assert "the bôx of Zoë, à côté" in row.values["text"]


def test_a_page_that_shows_nothing_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<html><head><title>x</title></head><body><script>1</script></body></html>")
    rows, (fault,) = rows_and_faults(path)
    assert not rows
    assert fault.reason == "this page shows no text"


def test_markup_is_removed_and_words_stay_apart() -> None:
    page = "<p>One &amp; <b>two</b></p><ul><li>three<li>four</ul><style>x{}</style>a<br>b"
    assert without_markup(page) == "One & two\nthree\nfour\na\nb"
