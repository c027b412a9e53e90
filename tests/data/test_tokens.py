from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_tokenizer
from tests.train.made import made_examples
from tunewright.base.errors import DataError
from tunewright.data.tokens import tokenize
from tunewright.models.chat import ChatFormat


def test_table_holds_what_the_chat_format_renders(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    examples = made_examples(7)
    table = tokenize(examples, chat, key="k", cache=tmp_path, max_length=256)
    assert len(table) == 7
    assert table.ids == tuple(example.id for example in examples)
    for index, example in enumerate(examples):
        rendered = chat.render(example.messages)
        assert table.tokens(index).tolist() == rendered.tokens
        assert table.weights(index).tolist() == rendered.learned
        assert table.lengths[index] == len(rendered.tokens)


def test_second_time_comes_from_the_cache(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    first = tokenize(made_examples(3), chat, key="k", cache=tmp_path, max_length=256)
    again = tokenize(iter(()), chat, key="k", cache=tmp_path, max_length=256)  # the examples are not even read
    other = tokenize(made_examples(2), chat, key="other", cache=tmp_path, max_length=256)
    assert again.tokens(2).tolist() == first.tokens(2).tolist()
    assert len(other) == 2


def test_longer_rows_are_left_out_and_listed_or_refused(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    lengths = [len(chat.render(example.messages).tokens) for example in made_examples(3)]
    table = tokenize(made_examples(3), chat, key="k", cache=tmp_path, max_length=min(lengths) - 1)
    assert len(table) == 0
    assert table.too_long == {f"row-{n}": length for n, length in enumerate(lengths)}
    with pytest.raises(DataError, match="3 rows are longer than"):
        tokenize((), chat, key="k", cache=tmp_path, max_length=min(lengths) - 1, too_long="error")
