"""Markdown that cannot do anything."""

from __future__ import annotations

import pytest

from tunewright.studio.templates import markdown, templates


def test_markdown_is_read() -> None:
    html = markdown("# How\n\n1. **Read** it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[rules](https://example.org/rules)")
    for part in (
        "<h1>How</h1>",
        "<strong>Read</strong>",
        "<td>2</td>",
        '<a href="https://example.org/rules">rules</a>',
    ):
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <b onclick=alert(1)>b</b>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,AAAA)",
        "![p](https://example.org/p.png)",
        "<https://example.org/><img src=x>",
    ],
)
def test_tags_scripts_and_pictures_are_text(text: str) -> None:
    html = markdown(text)
    for tag in ("<script", "<b ", "<img", 'javascript:alert(1)"', 'href="data:'):
        assert tag not in html


def test_texts_in_templates_are_escaped() -> None:
    assert "&lt;i&gt;" in templates().get_template("problem.html.j2").render(what="<i>")
