"""Lines of a stream, however it is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.base.streamed import StreamedLines

ODD = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"  # where `str.splitlines` cuts


@given(texts=st.lists(st.text(max_size=12) | st.just(ODD), max_size=6), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_whole_however_the_bytes_come(texts: list[str], cuts: list[int]) -> None:
    events = [json.dumps(text, ensure_ascii=False) for text in texts]
    sent = "".join(f"{event}\r\n" if place % 2 else f"{event}\n" for place, event in enumerate(events)).encode()
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    lines, found, start = StreamedLines(1000), list[str](), 0
    for end in ends:
        found += lines.feed(sent[start:end])
        start = end
    assert found == events


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n", b"\xff\n"])
def test_what_cannot_be_an_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"longer than 10 bytes|utf-8"):
        StreamedLines(10).feed(data)
