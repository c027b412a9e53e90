"""Whatever bytes a file holds, reading it ends, in rows, faults or one clear refusal."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.readers.test_contract import MADE
from tunewright.base.errors import DataError
from tunewright.base.plugins import READERS
from tunewright.data.prose import without_markup
from tunewright.data.readers import columns_of, read_file
from tunewright.data.rows import Fault, Row

SUFFIXES = sorted(
    {suffix for name in READERS.names() for suffix in READERS.module(name).SUFFIXES} | {"", ".gz", ".zip"}
)
STARTS = [
    b"",
    b"{",
    b"[",
    b'{"a": "',
    b"a,b\n",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"PAR1",
    b"%PDF-1.4\n",
]
STARTS += [b"<html>", b"From a@b 2026\nSubject: x\n\n", b"\xff\xfe", b"\xd0\xcf\x11\xe0", b"# ", b"Subject: x\n\n"]


def check(path: Path) -> None:
    """Reads a file as a preparation does."""
    try:
        columns_of(path)
        for row in read_file(path):
            assert isinstance(row, Row | Fault)
            assert row.line >= 1
            if isinstance(row, Row):
                str(row.values).encode()  # no halves of characters
    except DataError as error:
        assert error.where  # noqa: PT017


@given(st.sampled_from(STARTS), st.binary(max_size=60), st.sampled_from(SUFFIXES))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_under_any_name(tmp_path: Path, start: bytes, rest: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(start + rest)
    check(path)


@pytest.mark.parametrize("kind", MADE)
def test_files_with_a_few_bytes_changed_or_cut_off(kind: str, tmp_path: Path) -> None:
    name, make = MADE[kind]
    make(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    path = tmp_path / f"broken{Path(name).suffix}"
    dice = random.Random(8)
    for _ in range(25):
        broken = bytearray(content)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        if dice.random() < 0.3:
            del broken[dice.randrange(len(broken)) :]
        path.write_bytes(broken)
        check(path)


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "</", "&", "<a b='", "<script>", "<![CDATA[", "<div>", "<", "<a/", "&#"]
)
def test_markup_that_never_ends_takes_no_longer_for_it(piece: str) -> None:
    """A megabyte and more of each; Python's own parser would need hours."""
    start = time.process_time()
    without_markup(f"before{piece * 400_000}")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.md", "# a" + " " * 400_000 + "b"),
        ("a.md", "# " + "#" * 400_000 + "b"),
        ("a", "<!---->" * 9_000 + "x"),
        ("a", "From " + "x" * 60_000),
        ("a", "From x " + "1" * 60_000),
        ("a.eml", "Subject: x\n\n" + "From " + "1 " * 400_000),
        ("a.jsonl", "[" * 400_000),
        ("a.csv", "a,b\n" + '"x' * 40_000),
    ],
)
def test_lines_made_to_be_slow_are_not(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / name
    path.write_text(line)
    start = time.process_time()
    check(path)
    assert time.process_time() - start < 5
