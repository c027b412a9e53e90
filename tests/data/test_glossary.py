"""Glossary files are read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.base.errors import DataError
from tunewright.data.glossary import Term, confirmed_terms, read_glossary


def test_both_ways_of_writing(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("A b: [ab, a-b]\non:\n  variants: {'1.0': 3}\n  count: 4\n  confirmed: false\nc:\n")
    assert read_glossary(path) == (
        Term("A b", ("ab", "a-b"), True),
        Term("on", ("1.0",), False),
        Term("c", (), True),
    )
    assert [term.form for term in confirmed_terms(path)] == ["A b", "c"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n- b\n", "mapping of terms"),
        ("a: [b\n", r"g.yaml:2: This is not valid YAML"),
        ("a: [b]\na: [c]\n", r"g.yaml:2: The term 'a' stands there twice"),
        ("a: [x]\nb: [X ]\n", r"g.yaml:2: 'x' belongs to 'a' and to 'b'"),
        ("a: {variant: [b]}\n", "'variant' of the term 'a' is unknown. Did you mean 'variants'"),
        ("a: [1]\n", "The variants of 'a' are no list of texts"),
        ("a: {variants: [b], confirmed: maybe}\n", "'confirmed' of 'a' is neither true nor false"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        read_glossary(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="This glossary cannot be read"):
        read_glossary(tmp_path / "none.yaml")
