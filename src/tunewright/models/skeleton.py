"""Chat templates that only print what is said: their output for one succession of roles, with places for the texts.

Most templates put marks around each message and never look at its text. What such a template makes of a conversation
follows from the roles alone, so it is asked once for each succession of them, with placeholders for the texts. That a
template is one of those is read off its syntax tree: wherever a message's text occurs it is printed as it is, or
stripped, alone or joined to other texts. A template that does anything else with it (tests, replaces, splits, hands it
on) is asked for every conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from tunewright.models.tool_calls import Plain

if TYPE_CHECKING:
    from jinja2 import nodes

_MESSAGES = "messages"
_TEXT = "content"
_KNOWN = ("role", _TEXT)  # the keys of a message that no tool goes with
# Keys of a message that may be looked at: its role, and what such a message has not.
_KEYS = frozenset({"role", "tool_calls", "tool_call_id", "name"})
# What may be called: nothing whose result differs from one conversation, or one day, to the next.
_CALLED = frozenset({"raise_exception", "range", "namespace"})
# What a loop knows of where it is; its other values are items of what it goes through.
_OF_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"})
# White space that templates do not write, so that what stood around a placeholder can be told from what they add.
_AROUND = "\u2003"
_PLACE = re.compile(f"({_AROUND}?)\ue000([0-9]+)\ue001({_AROUND}?)")

Piece = str | tuple[int, bool]  # a text, or the place of a message and whether its text is stripped


class Skeletons:
    """A chat template's outputs by succession of roles.

    Args:
        template: Its text.
        render: What it makes of a conversation.
    """

    def __init__(self, template: str, render: Callable[[list[Plain]], str]) -> None:
        self._template, self._render = template, render
        self._known: dict[tuple[str, ...], list[Piece] | None] = {}

    def fill(self, messages: list[Plain]) -> str | None:
        """What the template makes of messages; None where it must be asked itself, as for those that tools go with."""
        if not self._only_prints or any(len(message) > len(_KNOWN) for message in messages):
            return None
        roles = tuple(message["role"] for message in messages)
        if roles not in self._known:
            self._known[roles] = self._skeleton(roles)
        pieces = self._known[roles]
        if pieces is None:
            return None
        return "".join([piece if isinstance(piece, str) else _text(messages, piece) for piece in pieces])

    @cached_property
    def _only_prints(self) -> bool:
        return _AROUND not in self._template and only_prints(self._template)

    def _skeleton(self, roles: Sequence[str]) -> list[Piece] | None:
        """The template's output for these roles; None where it refuses them, or cuts a placeholder up."""
        import jinja2

        asked: list[Plain] = [
            {"role": role, "content": f"{_AROUND}\ue000{place}\ue001{_AROUND}"} for place, role in enumerate(roles)
        ]
        try:
            shown = self._render(asked)
        except jinja2.TemplateError:
            return None  # asked for the conversation itself, it says why
        pieces: list[Piece] = []
        end = 0
        for found in _PLACE.finditer(shown):
            before, place, behind = found.groups()
            if before != behind:
                return None
            pieces += [shown[end : found.start()], (int(place), not before)]
            end = found.end()
        pieces.append(shown[end:])
        texts = "".join(piece for piece in pieces if isinstance(piece, str))
        return None if any(mark in texts for mark in (_AROUND, "\ue000", "\ue001")) else pieces


def _text(messages: list[Plain], piece: tuple[int, bool]) -> str:
    place, stripped = piece
    text: str = messages[place]["content"]
    return text.strip() if stripped else text


def only_prints(template: str) -> bool:
    """Whether a template never does more with a message's text than to print it, as it is or stripped.

    False also where that cannot be seen: the template is no plain Jinja, copies messages, or defines macros.
    """
    import jinja2
    from jinja2 import nodes

    # As transformers sets it up. Its own tag for what an assistant generates is no plain Jinja, and fails here.
    environment = jinja2.Environment(  # noqa: S701 - nothing is rendered by it
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    try:
        tree = environment.parse(template)
    except jinja2.TemplateSyntaxError:
        return False
    known = (nodes.Output, nodes.If, nodes.For, nodes.Assign, nodes.Break, nodes.Continue)
    if any(isinstance(node, nodes.Stmt) and not isinstance(node, known) for node, _ in _walk(tree, ())):
        return False
    of_one = _names_of_messages(tree)
    return all(_is_harmless(node, above, of_one) for node, above in _walk(tree, ()))


def _walk(node: nodes.Node, above: tuple[nodes.Node, ...]) -> Iterator[tuple[nodes.Node, tuple[nodes.Node, ...]]]:
    """Every node, with those above it, the nearest last."""
    for child in node.iter_child_nodes():
        yield child, (*above, node)
        yield from _walk(child, (*above, node))


def _names_of_messages(tree: nodes.Template) -> frozenset[str]:
    """Loop variables that are one message."""
    from jinja2 import nodes

    loops = tree.find_all(nodes.For)
    return frozenset(loop.target.name for loop in loops if _is_list(loop.iter) and isinstance(loop.target, nodes.Name))


def _is_list(node: nodes.Node) -> bool:
    """Whether a node is the messages, or a slice of them."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _is_list(node.node)
    return isinstance(node, nodes.Name) and node.name == _MESSAGES


def _is_message(node: nodes.Node, of_one: frozenset[str]) -> bool:
    from jinja2 import nodes

    if isinstance(node, nodes.Name):
        return node.name in of_one
    return isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice) and _is_list(node.node)


def _is_harmless(node: nodes.Node, above: tuple[nodes.Node, ...], of_one: frozenset[str]) -> bool:
    """Whether a node hands neither messages nor a text on, and calls nothing that may differ."""
    from jinja2 import nodes

    parent = above[-1]
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Name) and node.node.name in _CALLED
    if isinstance(node, nodes.Name) and node.name == "loop":
        return isinstance(parent, nodes.Getattr) and parent.attr in _OF_LOOP
    if isinstance(node, nodes.Filter) and node.name == "random":
        return False
    if _is_list(node):
        is_counted = isinstance(parent, nodes.Filter) and parent.name in ("length", "count")
        is_gone_through = isinstance(parent, nodes.For) and parent.iter is node
        return is_counted or is_gone_through or (isinstance(parent, nodes.Getitem) and parent.node is node)
    if _is_message(node, of_one):
        if isinstance(node, nodes.Name) and node.ctx == "store":
            return isinstance(parent, nodes.For) and _is_list(parent.iter)
        return _is_lookup(parent, node) or _asks_for_key(parent, node)
    if (key := _key_of(node, of_one)) is not None:
        return key in _KEYS or (key == _TEXT and _is_printed(above, node))
    return True


def _is_lookup(parent: nodes.Node, node: nodes.Node) -> bool:
    from jinja2 import nodes

    return isinstance(parent, nodes.Getitem | nodes.Getattr) and parent.node is node


def _asks_for_key(parent: nodes.Node, node: nodes.Node) -> bool:
    """Whether a message stands behind `in`: only its keys are looked at."""
    from jinja2 import nodes

    return isinstance(parent, nodes.Operand) and parent.op in ("in", "notin") and parent.expr is node


def _key_of(node: nodes.Node, of_one: frozenset[str]) -> str | None:
    """Which of a message's values a node looks up; empty where that is computed; None where it looks up none."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr) and _is_message(node.node, of_one):
        return node.attr
    if isinstance(node, nodes.Getitem) and _is_message(node.node, of_one):
        return str(node.arg.value) if isinstance(node.arg, nodes.Const) else ""
    return None


def _is_printed(above: Sequence[nodes.Node], node: nodes.Node) -> bool:
    """Whether all that happens to a value is that it is stripped first, perhaps, then joined to others, and printed."""
    from jinja2 import nodes

    left = list(above)
    if isinstance(left[-1], nodes.Filter) and left[-1].name == "trim" and left[-1].node is node and not left[-1].args:
        left.pop()
    while left and isinstance(left[-1], nodes.Add | nodes.Concat):
        left.pop()
    return bool(left) and isinstance(left[-1], nodes.Output)
