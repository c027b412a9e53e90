"""An answer's text parted into what is said and what is called."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.lifecycle.serving.call_stream import Arguments, CallBegun, CallStream, Event, Said
from tunewright.models.tool_calls import ToolCall, write_answer

ONE = '<tool_call>\n{"name": "f", "arguments": {"a": "}\\"{", "b": [1, {}]}}\n</tool_call>'
TWO = '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>'


def read(text: str, cuts: list[int] | None = None, most: int | None = None) -> list[Event]:
    """All events of a text that comes in pieces, neighbours of one kind joined."""
    stream = CallStream(reads_calls=True, most=most)
    places = [0, *sorted(cuts if cuts is not None else range(len(text))), len(text)]
    events = [event for start, end in pairwise(places) for event in stream.add(text[start:end])]
    found: list[Event] = []
    for event in [*events, *stream.finish()]:
        last = found[-1] if found else None
        if isinstance(event, Said) and isinstance(last, Said):
            found[-1] = Said(last.text + event.text)
        elif isinstance(event, Arguments) and isinstance(last, Arguments):
            found[-1] = Arguments(last.text + event.text)
        else:
            found.append(event)
    return found


CALLED_ONE = [CallBegun("f"), Arguments('{"a": "}\\"{", "b": [1, {}]}')]
CALLED_TWO = [CallBegun("g"), Arguments("{}")]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("Hello, world. ", [Said("Hello, world. ")]),
        (f"Let me see.\n{ONE}", [Said("Let me see."), *CALLED_ONE]),
        (f"{ONE}\n{TWO}", [*CALLED_ONE, *CALLED_TWO]),
        (f"{ONE}\nDone.", [*CALLED_ONE, Said("\nDone.")]),
        ("a <b> <tool", [Said("a <b> <tool")]),
        # Bare JSON, as Llama's and Mistral's are; and JSON that calls nothing.
        ('{"name": "g", "parameters": {"x": 1}}', [CallBegun("g"), Arguments('{"x": 1}')]),
        (' {"colour": "red"}', [Said(' {"colour": "red"}')]),
        # Arguments that stand in front of the name, or are a text, show when the call is there as a whole.
        ('<tool_call>{"arguments": {"x": 1}, "name": "g"}</tool_call>', [CallBegun("g"), Arguments('{"x": 1}')]),
        ('<tool_call>{"name": "g", "arguments": "{\\"x\\": 1}"}</tool_call>', [CallBegun("g"), Arguments('{"x": 1}')]),
        # Cut at the limit: what was written of the arguments has been told.
        ('<tool_call>\n{"name": "g", "arguments": {"x": [1', [CallBegun("g"), Arguments('{"x": [1')]),
        ('<tool_call>\n{"name": "g"', [Said('<tool_call>\n{"name": "g"')]),
        ("<tool_call>no call</tool_call>!", [Said("<tool_call>no call</tool_call>!")]),
    ],
)
def test_it_reads_the_same_however_it_is_cut(text: str, events: list[Event]) -> None:
    assert read(text, []) == events
    assert read(text) == events


@settings(max_examples=25)
@given(
    before=st.text(alphabet="ab <{\n", max_size=8),
    arguments=st.dictionaries(st.text(max_size=4), st.text(alphabet='{}[]"\\x', max_size=6), max_size=2),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_what_is_written_is_read_back(before: str, arguments: dict[str, str], cuts: list[int]) -> None:
    before = f"x{before}"  # what begins with a brace is bare JSON
    text = write_answer(before, (ToolCall("f", arguments),))
    events = read(text, [cut for cut in cuts if cut <= len(text)])
    assert events == [Said(before.rstrip()), CallBegun("f"), Arguments(text.partition('"arguments": ')[2][:-14])]


def test_names_and_arguments_are_told_before_the_call_is_whole() -> None:
    stream = CallStream(reads_calls=True)
    assert stream.add("Hi <") == [Said("Hi")]
    assert stream.add('tool_call>{"name": "f", "arguments": ') == []
    assert stream.add('{"a": ') == [CallBegun("f"), Arguments('{"a": ')]
    assert stream.add('"b"}') == [Arguments('"b"}')]
    assert stream.add("}</tool_call>") == []
    assert stream.finish() == []
    assert stream.calls == 1


def test_further_calls_are_left_out_where_one_is_wanted() -> None:
    assert read(f"{ONE}\n{TWO}", most=1) == CALLED_ONE


def test_nothing_is_read_where_nothing_may_be_called() -> None:
    stream = CallStream(reads_calls=False)
    assert stream.add(ONE) == [Said(ONE)]
    assert stream.finish() == []
