"""Ids by pieces are the ids of the whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny import tiny_tokenizer
from tests.tiny_t5 import tiny_t5_tokenizer
from tunewright.models.tokenising import Tokeniser


def first_word_marked() -> Any:
    """A tokenizer that puts a mark in front of a text's first word alone, as Llama's first one did."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(["to be or not to be, that is the question"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


TOKENISERS = {
    "bytes": tiny_tokenizer(),
    "T5": tiny_t5_tokenizer(),
    "first word": first_word_marked(),
}
SPECIAL = {name: sorted(tokenizer.get_added_vocab()) for name, tokenizer in TOKENISERS.items()}
READY = {name: Tokeniser(tokenizer) for name, tokenizer in TOKENISERS.items()}


@pytest.mark.parametrize("name", TOKENISERS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_ids_are_the_tokenizers_own(name: str, data: st.DataObject) -> None:
    pieces = st.text(max_size=6) | st.sampled_from([*SPECIAL[name], " ", "\n", "to be", "é"])
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    wanted = TOKENISERS[name](text, add_special_tokens=False)["input_ids"]
    assert READY[name].ids(text) == wanted
    assert READY[name].ids(text) == wanted  # remembered
    assert READY[name].ids_of_all([text, "to be", text]) == [wanted, READY[name].ids("to be"), wanted]


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.models.tokenising._REMEMBERED", 3)
    tokeniser = Tokeniser(tiny_tokenizer())
    for text in ("a", "b", "a", "c", "d", "a"):
        tokeniser.ids(text)
    assert list(tokeniser._remembered) == ["c", "d", "a"]


def test_texts_are_cut_only_where_that_changes_nothing() -> None:
    assert READY["bytes"]._borders is not None
    assert READY["first word"]._borders is None
