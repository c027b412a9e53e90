"""Rows over the limit: by hand on a tokenizer of one token a byte, and properties of the splitting."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_tokenizer
from tunewright.base.errors import DataError
from tunewright.data.example import Example, Message
from tunewright.data.fitting import cut_left, fit, split
from tunewright.data.tokens import Fitting, tokenize
from tunewright.models.chat import ChatFormat, Rendered

CHAT = ChatFormat(tiny_tokenizer())
# In tokens: the system message 8 + 4 + 2, a question 6 + 2 around its text, the answer's marker 11, its end 1.
EXAMPLE = Example(
    "a",
    (
        Message("system", "Obey"),
        Message("user", "first?"),
        Message("assistant", "one"),
        Message("user", "second?"),
        Message("assistant", "two"),
    ),
    {},
    "chat.jsonl",
    7,
)
SHORT = replace(EXAMPLE, messages=(EXAMPLE.messages[0], *EXAMPLE.messages[3:]))
LENGTH = 14 + (6 + 6 + 2 + 11 + 3 + 2) + (6 + 7 + 2 + 11 + 3 + 1)


def text_of(tokens: list[int]) -> str:
    return CHAT.plain.show(tokens)


def learned(row: Rendered) -> str:
    return text_of([token for token, weight in zip(row.tokens, row.learned, strict=True) if weight])


rows = st.lists(st.tuples(st.integers(3, 250), st.sampled_from([0.0, 0.25, 1.0])), min_size=1, max_size=60)


@settings(deadline=None)
@given(rows, st.integers(2, 20))
def test_pieces_joined_give_back_tokens_and_weights(row: list[tuple[int, float]], limit: int) -> None:
    whole = Rendered([token for token, _ in row], [0.0, *(weight for _, weight in row[1:])])
    pieces = split(whole, limit)
    assert [token for at, piece in enumerate(pieces) for token in piece.tokens[at > 0 :]] == whole.tokens
    assert [weight for at, piece in enumerate(pieces) for weight in piece.learned[at > 0 :]] == whole.learned
    assert all(2 <= len(piece.tokens) <= limit for piece in pieces) or len(row) == 1
    for piece, following in pairwise(pieces):
        assert following.tokens[0] == piece.tokens[-1]
    assert all(piece.learned[0] == 0.0 for piece in pieces)
    assert sum(sum(piece.learned) for piece in pieces) == sum(whole.learned)


def test_a_row_within_the_limit_is_left_alone() -> None:
    found = fit(EXAMPLE, CHAT, LENGTH, "split")
    assert (found.length, found.change, found.lost) == (LENGTH, "none", 0)
    assert found.rows[0][1] == CHAT.render(EXAMPLE.messages)


@pytest.mark.parametrize("too_long", ["drop", "error"])
def test_longer_rows_are_left_out(too_long: str) -> None:
    found = fit(EXAMPLE, CHAT, LENGTH - 1, too_long)  # type: ignore[arg-type]
    assert (found.length, found.change, found.rows) == (LENGTH, "dropped", ())


def test_from_the_left_whole_turns_go_first() -> None:
    found = fit(EXAMPLE, CHAT, LENGTH - 1, "truncate_left")
    assert (found.change, found.lost) == ("truncated", len("one") + 1)
    assert found.rows[0][1] == CHAT.render(SHORT.messages)


def test_then_the_beginning_of_the_question_and_never_the_system_message() -> None:
    whole = CHAT.render(SHORT.messages)
    found = fit(SHORT, CHAT, len(whole.tokens) - 4, "truncate_left")
    assert (found.change, found.lost) == ("truncated", 0)
    row = found.rows[0][1]
    assert text_of(row.tokens) == (
        "<|im_start|>system\nObey<|im_end|>\n<|im_start|>user\nnd?<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>"
    )
    assert learned(row) == "two<|im_end|>"


def test_the_system_message_goes_where_the_answer_needs_its_room() -> None:
    found = fit(SHORT, CHAT, 7, "truncate_left")
    row = found.rows[0][1]
    assert (text_of(row.tokens), learned(row), found.lost) == ("nt\ntwo<|im_end|>", "two<|im_end|>", 0)
    found = fit(SHORT, CHAT, 3, "truncate_left")  # "w" has nothing before it that it could be learned from
    assert (text_of(found.rows[0][1].tokens), learned(found.rows[0][1]), found.lost) == (
        "wo<|im_end|>",
        "o<|im_end|>",
        2,
    )


def test_cutting_left_by_hand() -> None:
    row = Rendered([1, 2, 3, 4, 5, 6], [0.0, 0.0, 0.0, 0.0, 1.0, 0.5])
    assert cut_left(row, 4, header=2, excess=2) == Rendered([1, 2, 5, 6], [0.0, 0.0, 1.0, 0.5])
    assert cut_left(row, 3, header=2, excess=3) == Rendered([4, 5, 6], [0.0, 1.0, 0.5])
    assert cut_left(row, 2, header=2, excess=4) == Rendered([5, 6], [0.0, 0.5])


def test_from_the_right_the_end_goes_and_what_is_lost_is_told() -> None:
    found = fit(EXAMPLE, CHAT, LENGTH - 2, "truncate_right")
    assert (found.change, found.lost) == ("truncated", 2)
    assert learned(found.rows[0][1]) == "one<|im_end|>tw"
    found = fit(SHORT, CHAT, 20, "truncate_right")  # nothing is left to learn
    assert (found.change, found.rows) == ("dropped", ())


def test_split_rows_continue_the_answer_under_stable_ids(tmp_path: Path) -> None:
    long = replace(EXAMPLE, messages=(Message("user", "tell"), Message("assistant", "abcdefghijklmnopqrst")))
    table = tokenize([long, replace(SHORT, id="b")], CHAT, key="k", cache=tmp_path, max_length=12, too_long="split")
    # 23 tokens of prompt, then 20 letters and an end. Pieces take 12, 11, 11 and 10 of these 44; the first two are all
    # prompt, and are left out. Of the other row's 44 the last four are learned.
    assert list(table.ids) == ["a#3", "a#4", "b#4"]
    assert table.fitting == Fitting(truncated={}, split={"a": 2, "b": 1}, lost={})
    texts = [text_of(table.tokens(index).tolist()) for index in range(3)]
    assert texts == ["\nabcdefghijk", "klmnopqrst<|im_end|>", "istant\ntwo<|im_end|>"]
    assert [table.weights(index).tolist() for index in range(2)] == [[0.0] + [1.0] * 11, [0.0] + [1.0] * 10]


def pair(rejected: str) -> Example:
    return replace(SHORT, rejected=rejected)


def test_both_answers_of_a_pair_keep_one_prompt() -> None:
    length = len(CHAT.render(pair("much worse").rejected_messages).tokens)
    found = fit(pair("much worse"), CHAT, length - 3, "truncate_left")
    _, chosen, rejected = found.rows[0]
    prompt = "<|im_start|>system\nObey<|im_end|>\n<|im_start|>user\nond?<|im_end|>\n<|im_start|>assistant\n"
    assert text_of(chosen.tokens) == f"{prompt}two<|im_end|>"
    assert text_of(rejected.tokens) == f"{prompt}much worse<|im_end|>"
    assert fit(pair("much worse"), CHAT, 8, "truncate_left").change == "dropped"


def test_pairs_that_a_cut_makes_equal_are_left_out_and_none_is_split() -> None:
    length = len(CHAT.render(SHORT.messages).tokens)
    assert fit(pair("twice"), CHAT, length - 2, "truncate_right").change == "dropped"
    with pytest.raises(DataError, match=r"chat\.jsonl:7: This row has two answers"):
        fit(pair("worse"), CHAT, length - 2, "split")


def test_a_table_counts_what_was_cut(tmp_path: Path) -> None:
    table = tokenize([EXAMPLE], CHAT, key="k", cache=tmp_path, max_length=LENGTH - 1, too_long="truncate_left")
    assert table.fitting == Fitting(truncated={"a": LENGTH}, split={}, lost={"a": 4})
    again = tokenize([EXAMPLE], CHAT, key="k", cache=tmp_path, max_length=LENGTH - 1)
    assert (len(again), again.too_long) == (0, {"a": LENGTH})
