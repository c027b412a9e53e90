"""Rows of source and answer over the limit: the source is cut, or the answer, and never the mark between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_t5 import END, tiny_t5_tokenizer
from tunewright.base.errors import DataError
from tunewright.data.example import Example, Message
from tunewright.data.fitting import fit
from tunewright.data.tokens import tokenize
from tunewright.models.text_format import ANSWER_START, TextFormat

CHAT = TextFormat(tiny_t5_tokenizer())


def example(*turns: tuple[str, str]) -> Example:
    return Example("row", tuple(Message(role, content) for role, content in turns), {}, "made.jsonl", 1)


def shown(tokens: list[int]) -> str:
    return "".join("|" if t == ANSWER_START else "$" if t == END else CHAT.tokenizer.decode([t]) for t in tokens)


ASKED = example(("system", "Say."), ("user", "abcdefgh"), ("assistant", "xyz"))  # Say.\nabcdefgh$|xyz$: 19 tokens


@pytest.mark.parametrize(
    ("limit", "policy", "expected"),
    [
        (19, "truncate_left", "Say.\nabcdefgh$|xyz$"),
        (16, "truncate_left", "Say.\ndefgh$|xyz$"),
        (10, "truncate_left", "efgh$|xyz$"),
        (17, "truncate_right", "Say.\nabcdefgh$|xy"),
    ],
)
def test_what_is_kept(limit: int, policy: str, expected: str) -> None:
    ((_, row, _),) = fit(ASKED, CHAT, limit, policy).rows  # type: ignore[arg-type]
    assert shown(row.tokens) == expected
    mark = row.tokens.index(ANSWER_START)
    assert [bool(weight) for weight in row.learned] == [place > mark for place in range(len(row.tokens))]


def test_what_keeps_no_source_or_no_answer_is_left_out() -> None:
    assert fit(ASKED, CHAT, 4, "truncate_left").change == "dropped"
    assert fit(ASKED, CHAT, 15, "truncate_right").change == "dropped"


def test_old_turns_go_first() -> None:
    turns = example(("user", "one"), ("assistant", "two"), ("user", "three"), ("assistant", "four"))
    ((_, row, _),) = fit(turns, CHAT, 12, "truncate_left").rows
    assert shown(row.tokens) == "three$|four$"


def test_none_is_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be split"):
        tokenize([ASKED], CHAT, key="rows", cache=tmp_path, max_length=10, too_long="split")
