from __future__ import annotations

import mmap
from dataclasses import replace
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


def test_rejected_answers_stand_beside_the_chosen_ones(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    first, second, third = made_examples(3)
    examples = [replace(first, rejected="middling"), second, replace(third, rejected="x")]
    table = tokenize(examples, chat, key="k", cache=tmp_path, max_length=256)
    for index, example in enumerate(examples):
        row = table.row(index)
        assert row.tokens.tolist() == chat.render(example.messages).tokens
        assert (row.rejected is None) == (example.rejected is None)
        if row.rejected:
            rendered = chat.render(example.rejected_messages)
            assert row.rejected.tokens.tolist() == rendered.tokens
            assert row.rejected.weights.tolist() == rendered.learned
            prompt = len(chat.prompt(example.prompt))
            assert row.rejected.tokens[:prompt].tolist() == row.tokens[:prompt].tolist()
        assert len(row.sequences) == (2 if example.rejected else 1)
        assert table.lengths[index] == max(len(each.tokens) for each in row.sequences)


def test_a_rejected_answer_counts_for_the_longest(tmp_path: Path) -> None:
    chat = ChatFormat(tiny_tokenizer())
    example = replace(made_examples(1)[0], rejected="much longer than the other")
    length = len(chat.render(example.rejected_messages).tokens)
    table = tokenize([example], chat, key="k", cache=tmp_path, max_length=length - 1)
    assert len(chat.render(example.messages).tokens) < length
    assert table.too_long == {"row-0": length}


def test_a_table_without_rejected_answers_has_no_files_for_them(tmp_path: Path) -> None:
    table = tokenize(made_examples(2), ChatFormat(tiny_tokenizer()), key="k", cache=tmp_path, max_length=256)
    assert table.rejected is None
    assert table.row(1).rejected is None
    assert {file.name for file in table.folder.iterdir()} == {"tokens.bin", "weights.bin", "starts.npy", "table.json"}


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="pages cannot be let go of here")
def test_rows_that_were_let_go_of_are_read_again(tmp_path: Path) -> None:
    table = tokenize(made_examples(5), ChatFormat(tiny_tokenizer()), key="k", cache=tmp_path, max_length=256)
    before = [(table.tokens(row).tolist(), table.weights(row).tolist()) for row in range(len(table))]
    table.let_go()
    assert [(table.tokens(row).tolist(), table.weights(row).tolist()) for row in range(len(table))] == before
