"""Which token of a row carries its label, and which of a word its tag."""

from __future__ import annotations

import pytest

from tests.tiny import tiny_tokenizer
from tests.tiny_encoder import encoder_tokenizer
from tunewright.base.errors import DataError
from tunewright.models.chat import ChatFormat, Turn
from tunewright.models.class_format import ClassFormat
from tunewright.models.encoder_format import EncoderFormat

TAGS = ("B-LOC", "B-PER", "O")


def conversation(text: str, answer: str, *more: str) -> list[Turn]:
    return [*(Turn("user", each) for each in (text, *more)), Turn("assistant", answer, 1.0)]


def tokens_of(format: ClassFormat, text: str) -> list[str]:
    names: list[str] = format.tokenizer.convert_ids_to_tokens(format.prompt([Turn("user", text)]))
    return names


def test_a_label_is_learned_from_an_encoders_first_token() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "label", ("blue", "red"))
    found = format.render(conversation("red lamp", "red"))
    assert tokens_of(format, "red lamp") == ["[CLS]", "red", "lamp", "[SEP]"]
    assert found.learned == [1.0, 0.0, 0.0, 0.0]
    assert found.targets[0] == 1
    assert found.types == []


def test_a_pair_tells_its_second_text_apart() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "label", ("no", "yes"))
    found = format.render(conversation("red lamp", "yes", "blue"))
    assert found.types == [0, 0, 0, 0, 1, 1]
    assert found.learned == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_a_label_is_learned_from_the_last_token_of_a_causal_models_prompt() -> None:
    chat = ChatFormat(tiny_tokenizer())
    found = ClassFormat(chat, "label", ("no", "yes")).render(conversation("Is it?", "yes"))
    assert found.tokens == chat.prompt([Turn("user", "Is it?")])
    assert [place for place, weight in enumerate(found.learned) if weight] == [len(found.tokens) - 1]
    assert found.targets[-1] == 1


def test_a_tag_is_learned_from_a_words_first_token_alone() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "tag", TAGS)
    text = "ann visits oslo7 ."
    assert tokens_of(format, text) == ["[CLS]", "ann", "visits", "oslo", "##7", ".", "[SEP]"]
    found = format.render(conversation(text, "B-PER O B-LOC O"))
    assert [place for place, weight in enumerate(found.learned) if weight] == [1, 2, 3, 5]
    assert [found.targets[place] for place in (1, 2, 3, 5)] == [1, 2, 0, 2]


def test_a_word_without_a_token_has_no_place_and_one_that_is_cut_neither() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "tag", TAGS)
    _, places = format.ask([Turn("user", "ann \u200d oslo")])  # the tokenizer drops what cannot be seen
    assert places == [1, None, 2]
    asked, places = format.ask([Turn("user", "ann visits rome today")], limit=4)
    assert (len(asked.tokens), places) == (4, [1, 2, None, None])


def test_words_inside_words_keep_their_own_places() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "tag", TAGS)
    _, places = format.ask([Turn("user", "is . is the the.")])
    assert places == [1, 2, 3, 4, 5]


def test_what_is_no_class_or_not_one_a_word_is_refused() -> None:
    format = ClassFormat(EncoderFormat(encoder_tokenizer()), "tag", TAGS)
    with pytest.raises(DataError, match="2 words have 1 tags"):
        format.render(conversation("ann visits", "O"))
    with pytest.raises(DataError, match="'B-ORG' is none of the classes"):
        format.render(conversation("ann visits", "O B-ORG"))


def test_the_fingerprint_follows_classes_head_and_tokenizer() -> None:
    plain = EncoderFormat(encoder_tokenizer())
    formats = [
        ClassFormat(plain, "label", ("a", "b")),
        ClassFormat(plain, "label", ("a", "c")),
        ClassFormat(plain, "tag", ("a", "b")),
    ]
    assert len({format.fingerprint for format in formats}) == 3
    assert ClassFormat(plain, "label", ("a", "b")).fingerprint == formats[0].fingerprint
