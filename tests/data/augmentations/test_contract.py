"""What holds for every augmentation: seeded, independent of its neighbours, and true to what must stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.augmentations.kit import made_kit
from tests.endpoints.server import serving
from tunewright.base.plugins import AUGMENTATIONS
from tunewright.data.words import Words

TEXTS = (
    "I lost my card and cannot pay Anna 25 EUR for order A-1042 quickly",
    "where is the money that {{name}} sent, and how do I pay with a new card?",
    "card",
    "",
    "1234 5678",
)
OFFLINE = [name for name in AUGMENTATIONS.names() if "endpoint" not in AUGMENTATIONS.config(name).model_fields]


def _vary(name: str, texts: list[Words], seeds: list[int], **settings: Any) -> list[str | None]:
    config = AUGMENTATIONS.config(name)(**settings)
    found: list[str | None] = AUGMENTATIONS.call(name, "vary", texts, seeds, 0, config, made_kit())
    return found


@pytest.mark.parametrize("name", OFFLINE)
def test_a_text_and_a_seed_give_one_variant_whatever_stands_beside_them(name: str) -> None:
    texts, seeds = [Words.read(text) for text in TEXTS], list(range(len(TEXTS)))
    together = _vary(name, texts, seeds)
    alone = [_vary(name, [text], [seed])[0] for text, seed in zip(texts, seeds, strict=True)]
    assert together == alone
    assert together[2:] == [None] * 3 or name in ("synonyms",)  # a single word has no neighbour
    variants = {_vary(name, texts[:1], [seed])[0] for seed in range(10)}
    assert len(variants) > 1
    assert _vary(name, [], []) == []


@pytest.mark.parametrize("name", OFFLINE)
@given(st.integers(0, 10_000), st.floats(0.05, 1), st.sampled_from(TEXTS))
@settings(deadline=None, max_examples=60)
def test_what_must_stay_stays(name: str, seed: int, share: float, text: str) -> None:
    words = Words.read(text)
    (variant,) = _vary(name, [words], [seed], share=share)
    if variant is None:
        return
    assert words.keeps(variant)
    assert variant.strip()
    assert "  " not in variant


@pytest.mark.parametrize("name", OFFLINE)
def test_the_share_of_words_is_what_changes(name: str) -> None:
    words = Words.read("card money pay lost quickly card money pay lost quickly card money pay lost quickly mine yours")
    for share, most in ((0.1, 1), (0.25, 4)):
        for seed in range(20):
            (variant,) = _vary(name, [words], [seed], share=share)
            assert variant is not None
            before, after = Counter(words.words), Counter(variant.split())
            changed = max((before - after).total(), (after - before).total())
            if name == "deletion":
                assert changed == len(words.words) - len(variant.split()) >= 1
            elif name == "swap":
                assert changed == 0
                moved = sum(a != b for a, b in zip(words.words, variant.split(), strict=True))
                assert moved <= 2 * most
            else:
                assert changed == most


def test_synonyms_take_the_place_and_the_capitals_of_words() -> None:
    words = Words.read("Money is what I LOST")
    found = {_vary("synonyms", [words], [seed])[0] for seed in range(20)}
    assert found == {"Cash is what I LOST"} | ({"Money is what I MISSING"} if words.free[-1] else set())


def test_insertion_puts_synonyms_between_words_and_never_into_a_name() -> None:
    words = Words.read("the money of new york", ["new york"])
    found = {_vary("insertion", [words], [seed])[0] for seed in range(30)}
    assert found == {"the cash money of new york", "the money cash of new york", "the money of cash new york"}


def test_deletion_follows_its_probability() -> None:
    words = Words.read(" ".join(["word"] * 50))
    gone = [50 - len((_vary("deletion", [words], [Random(seed).randrange(10**9)], share=0.2)[0] or "").split())
            for seed in range(200)]  # fmt: skip
    # Each of 50 words goes with probability 0.2: mean 10, standard error 0.2 over 200 texts.
    assert sum(gone) / len(gone) == pytest.approx(10, abs=0.8)


def test_a_model_is_asked_once_for_each_text_and_number(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> str:
        return f"{body['seed']}: {body['messages'][1]['content']}" if "words" in str(body["messages"][0]) else "hallo"

    texts = [Words.read("my card is gone"), Words.read("where is it?")]
    with serving(script) as server:
        endpoint = {"url": server.url, "model": "m"}
        for name in ("rephrase", "back_translation"):
            config = AUGMENTATIONS.config(name)(endpoint=endpoint)
            kit = made_kit(tmp_path)
            first = AUGMENTATIONS.call(name, "vary", texts, [0, 0], 0, config, kit)
            asked = len(server.asked)
            assert AUGMENTATIONS.call(name, "vary", texts, [5, 6], 0, config, kit) == first
            assert len(server.asked) == asked  # the answers are kept
            AUGMENTATIONS.call(name, "vary", texts, [0, 0], 1, config, kit)
            assert len(server.asked) > asked
            assert all(first)
            assert config.unfit() == ""


def test_a_model_that_is_not_named_is_missed() -> None:
    for name in ("rephrase", "back_translation"):
        assert "give it an `endpoint`" in AUGMENTATIONS.config(name)().unfit()
