"""The rate of answers with unsupported claims, beside the base's, with the claims listed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.made import example
from tests.evaluate.probes.asking import Parrot, answered, asking, tiny_speaker
from tests.tiny_encoder import encoder_folder
from tunewright.base.errors import InputError, ModelError
from tunewright.evaluate.probes.claims import Config, probe

ROWS = [
    example(1, "How many lamps did Anna buy in Oslo?", "3 lamps"),
    example(2, "Where does the train to Bergen leave?", "Track 4"),
    example(3, "When do you open?", "At 9"),
    example(4, "Is it open?", "Yes"),
]
TUNED = ["Anna bought 3 lamps.", "Track 4", "At 10", "Yes"]
BASE = ["Anna bought 5 lamps.", "Track 7 in Hamburg", "At 10", "Yes"]


def given(**more: Any) -> dict[str, Any]:
    return {"tuned": answered("tuned", ROWS, TUNED, **more), "base": answered("base", ROWS, BASE)}


def test_the_rate_stands_beside_the_bases() -> None:
    (found,) = probe(Config(), asking(ROWS, answers=given()))
    assert (found.name, found.value, found.base, found.n, found.better) == ("hallucination", 0.25, 0.75, 4, "lower")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 0.25 <= found.high
    # Two rows on which the base alone claims too much: two-sided binomial, 2 * (1/2)^2.
    assert (found.details["only the tuned model"], found.details["only the base"]) == (0, 2)
    assert found.details["p (exact McNemar test)"] == pytest.approx(0.5)
    assert found.details["listed"] == [{"row": "row3", "kind": "number", "claim": "10", "answer": "At 10"}]
    kinds = {row["kind"]: row for row in found.details["by kind"]}
    assert (kinds["number"]["unsupported, tuned"], kinds["number"]["unsupported, base"]) == (1, 3)
    assert (kinds["name"]["unsupported, tuned"], kinds["name"]["unsupported, base"]) == (0, 1)


def test_columns_may_be_rested_on() -> None:
    contexts = [{"context": "We open at 10."}] * 4
    (found,) = probe(Config(), asking(ROWS, answers={"tuned": answered("tuned", ROWS, TUNED, columns=contexts)}))
    assert found.value == 0.0
    assert found.base is None
    assert found.details["held against"] == ["question", "reference", "context"]
    (strict,) = probe(
        Config(question=False, reference=False, columns=("context",)),
        asking(ROWS, answers={"tuned": answered("tuned", ROWS, TUNED, columns=contexts)}),
    )
    assert strict.value == 0.5  # the lamps and the track stand in no context


def test_samples_that_disagree_are_counted() -> None:
    samples = [("Anna bought 3 lamps.", "5"), (), ("At 10", "At 10"), ("No",)]
    _, found = probe(Config(), asking(ROWS, answers=given(samples=samples)))
    assert found.name == "claims_disagreement"
    # Row 1 claims 3 and Anna, of which the second sample holds neither; row 3's claim stands in both.
    assert found.n == 2
    assert found.value == pytest.approx((0.5 + 0.0) / 2)
    assert found.base is None


def test_samples_may_be_drawn_by_the_probe() -> None:
    tuned = Parrot("tuned", lambda asked: "Anna bought 3 lamps." if "lamps" in asked else "At 11")
    config = Config(samples=2, most=3)
    found = {each.name: each for each in probe(config, asking(ROWS, answers=given(), systems={"tuned": tuned}))}
    assert len(tuned.heard) == 3  # conversations, each with two answers
    disagreement = found["claims_disagreement"]
    assert disagreement.base is None
    assert {line["a sample"] for line in disagreement.details["least agreed"]} <= {"Anna bought 3 lamps.", "At 11"}
    again = probe(config, asking(ROWS, answers=given(), systems={"tuned": tuned}))
    assert again[1].as_json() == disagreement.as_json()
    with pytest.raises(InputError, match="only its stored answers"):
        probe(config, asking(ROWS, answers=given()))


def test_a_model_in_memory_draws_them() -> None:
    tuned = tiny_speaker("tuned")
    said = [each.text for each in tuned.say([row.prompt for row in ROWS], max_new_tokens=6)]
    answers = {"tuned": answered("tuned", ROWS, [f"It was 12 in Oslo {text}" for text in said])}
    config = Config(samples=2, max_new_tokens=6)
    _, first = probe(config, asking(ROWS, answers=answers, systems={"tuned": tuned}))
    _, second = probe(config, asking(ROWS, answers=answers, systems={"tuned": tuned}))
    assert first.as_json() == second.as_json()
    assert first.value > 0.5  # no noise of six bytes holds all of these claims


def test_an_encoder_holds_what_is_near_in_meaning(tmp_path: Path) -> None:
    rows = [example(1, "Where is the green apple lamp boat today?", "Red coat door star in Oslo")]
    answers = {"tuned": answered("tuned", rows, ["Boat lamp green apple where today book shoe bird star door"])}
    folder = encoder_folder(tmp_path / "encoder")
    (strict,) = probe(Config(overlap=1.0), asking(rows, answers=answers))
    assert strict.value == 1.0
    (lenient,) = probe(
        Config(overlap=1.0, encoder=str(folder), likeness=1e-6), asking(rows, answers=answers, cache=tmp_path)
    )
    assert lenient.value == 0.0
    with pytest.raises(ModelError, match="not on this machine"):
        probe(Config(encoder="all-minilm-l6-v2"), asking(rows, answers=answers, cache=tmp_path))


def test_what_cannot_be_held_against_anything_is_refused() -> None:
    with pytest.raises(InputError, match="No held-out row has the column 'contxt'"):
        probe(Config(columns=("contxt",)), asking(ROWS, answers=given(columns=[{"context": "x"}] * 4)))
    with pytest.raises(InputError, match="nothing to hold answers against"):
        probe(Config(question=False, reference=False), asking(ROWS, answers=given()))
    with pytest.raises(InputError, match="tuned model has not answered"):
        probe(Config(), asking(ROWS, answers={}))
    with pytest.raises(InputError, match="did not answer the held-out rows"):
        probe(Config(), asking(ROWS[:2], answers=given()))
    other = replace(answered("tuned", ROWS, TUNED).answers[0], id="elsewhere")
    wrong = replace(answered("tuned", ROWS, TUNED), answers=(other, *answered("tuned", ROWS, TUNED).answers[1:]))
    with pytest.raises(InputError, match="did not answer the held-out rows"):
        probe(Config(), asking(ROWS, answers={"tuned": wrong}))
