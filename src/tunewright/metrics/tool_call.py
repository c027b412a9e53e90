"""Tool calls: the right functions, with the right arguments.

The calls of one answer are parallel, so their order does not count; how often each is made does. An answer that should
call nothing is right when it calls nothing, whatever it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, name_ids, require_answers
from tunewright.metrics._measure import Measure, share
from tunewright.metrics._records import equal
from tunewright.models.tool_calls import ToolCall, read_calls

Calls = Sequence[ToolCall]
Same = Callable[[ToolCall, ToolCall], bool]

ABOUT = {
    "tool_call": About(
        "Tool calls right", "the answer calls the expected tools with the expected arguments, and no others"
    ),
    "tool_call_name": About("Right tools called", "the answer calls the expected tools, whatever the arguments"),
    "tool_call_arguments": About(
        "Right arguments given", "the answer's calls have the expected arguments, whatever the tools"
    ),
}


class Config(PluginConfig):
    """Tool calls have no settings."""

    name: Literal["tool_call"] = "tool_call"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """`tool_call`: names and arguments equal; `tool_call_name`: the names; `tool_call_arguments`: the arguments.

    Arguments are compared as JSON: keys in any order, numbers by value. A call that is begun and cannot be read makes
    an answer wrong in all three.

    Raises:
        DataError: If a reference's own calls cannot be read.
    """
    require_answers(config.name, answers)
    wanted = [read_calls(answer.reference) for answer in answers]
    if broken := [answer.id for answer, calls in zip(answers, wanted, strict=True) if calls is None]:
        raise DataError(f"Reference answers whose tool calls cannot be read: {name_ids(broken)}", where=config.name)
    pairs = [(calls or (), read_calls(answer.prediction)) for calls, answer in zip(wanted, answers, strict=True)]

    def hits(same: Same) -> list[bool]:
        return [given is not None and _match(calls, given, same) for calls, given in pairs]

    return [
        share(config.name, hits(lambda a, b: a.name == b.name and _same_arguments(a, b))),
        share(f"{config.name}_name", hits(lambda a, b: a.name == b.name)),
        share(f"{config.name}_arguments", hits(_same_arguments)),
    ]


def _same_arguments(a: ToolCall, b: ToolCall) -> bool:
    return equal(dict(a.arguments), dict(b.arguments))


def _match(wanted: Calls, given: Calls, same: Same) -> bool:
    """Whether each wanted call has one that is the same, and none is left over."""
    left = list(given)
    for call in wanted:
        place = next((at for at, other in enumerate(left) if same(call, other)), -1)
        if place < 0:
            return False
        del left[place]
    return not left
