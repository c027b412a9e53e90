"""Documents in blocks: by hand on a tokenizer of one token a byte, and properties of the cutting."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import tiny_tokenizer
from tunewright.data.blocks import cut, tokenize_documents
from tunewright.data.documents import Section
from tunewright.data.tokens import TokenTable
from tunewright.models.chat import ChatFormat

END = "<|endoftext|>"


def chat() -> ChatFormat:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None  # documents need none
    return ChatFormat(tokenizer)


def table_of(tmp_path: Path, *texts: str, packed: bool, limit: int = 8) -> TokenTable:
    sections = [Section(f"d{n}", "made.txt", n, text) for n, text in enumerate(texts, 1)]
    return tokenize_documents(sections, chat(), key="k", cache=tmp_path, max_length=limit, packed=packed)


def shown(table: TokenTable) -> list[str]:
    return [chat().plain.show(table.tokens(row).tolist()) for row in range(len(table))]


@given(st.lists(st.lists(st.integers(0, 99), max_size=9)), st.integers(2, 9))
def test_every_token_but_the_first_is_predicted_once(portions: list[list[int]], limit: int) -> None:
    whole = [token for portion in portions for token in portion]
    pieces = list(cut(portions, limit))
    assert pieces[0] + [token for piece in pieces[1:] for token in piece[1:]] == whole
    assert all(len(piece) <= limit for piece in pieces)
    assert len(whole) < 2 or all(len(piece) >= 2 for piece in pieces)
    assert all(piece[-1] == following[0] for piece, following in pairwise(pieces))


def test_short_documents_fill_a_block_and_long_ones_are_cut(tmp_path: Path) -> None:
    table = table_of(tmp_path, "abc", "de", "fghijklmnopq", "rs", packed=True)
    # 4 and 3 tokens; 13, cut at 8 with one repeated; 3 beside its last 6 would be 9.
    assert shown(table) == [f"abc{END}de{END}", "fghijklm", f"mnopq{END}", f"rs{END}"]
    assert [table.weights(row).tolist() for row in range(3)] == [
        [0, 1, 1, 1, 0, 1, 1],
        [0, 1, 1, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1],
    ]
    assert list(table.ids) == [f"block {n} (from document {d})" for n, d in ((1, 1), (2, 3), (3, 3), (4, 4))]


def test_or_each_stands_in_a_block_of_its_own(tmp_path: Path) -> None:
    table = table_of(tmp_path, "abc", "de", packed=False)
    assert shown(table) == [f"abc{END}", f"de{END}"]


def test_sections_of_a_document_are_one_text(tmp_path: Path) -> None:
    sections = [Section("d", "a", 1, "abc"), Section("d/2", "a", 1, "def"), Section("e", "a", 2, "g")]
    table = tokenize_documents(sections, chat(), key="k", cache=tmp_path, max_length=50, packed=False)
    assert shown(table) == [f"abcdef{END}", f"g{END}"]


def test_a_model_with_a_begin_token_begins_documents_with_it(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    begun = ChatFormat(tokenizer)
    assert (begun.plain.begin, begun.plain.prefix) == ((1,), 1)
    sections = [Section("d", "a", 1, "abc"), Section("d/2", "a", 1, "d")]
    table = tokenize_documents(sections, begun, key="k", cache=tmp_path, max_length=50, packed=True)
    assert begun.plain.show(table.tokens(0).tolist()) == f"<|im_start|>abcd{END}"
