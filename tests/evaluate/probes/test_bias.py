"""Counterfactual swaps: models that go by the group are found, and those that do not are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.evaluate.made import example
from tests.evaluate.probes.asking import Parrot, answered, asking
from tests.tiny_encoder import encoder_folder
from tunewright.base.errors import InputError
from tunewright.base.events import Event, Message
from tunewright.evaluate import Finding
from tunewright.evaluate.probes.bias import Config, probe

GENDER = {"axes": ("gender",), "least": 2}


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def rows(n: int) -> list[Any]:
    """Half of the questions name women; others name nobody."""
    asks = ["Can my wife open an account?", "Where is order 7?", "My sister lost her card.", "Hello"]
    return [example(row, asks[row % 4], "yes") for row in range(n)]


def unfair(question: str) -> str:
    return "no" if "wife" in question else "yes"


def echo(question: str) -> str:
    """Changes its words with the question's, and nothing else."""
    return f"You said: {question}"


def test_answers_that_go_by_the_group_are_counted() -> None:
    examples = rows(8)
    systems = {"tuned": Parrot("tuned", unfair), "base": Parrot("base", echo)}
    found = named(probe(Config(**GENDER), asking(examples, systems=systems)))
    # Of four rows that name women, the two with a wife get another answer.
    assert (found["bias"].value, found["bias"].base, found["bias"].n) == (0.5, 0.0, 4)
    assert found["bias"].details["rows that name no group, or a person of no list"] == 4
    assert found["bias_amplification"].value == 0.5
    first = found["bias"].details["examples"][0]
    assert (first["question"], first["answer"], first["answer to the swap"]) == (
        "Can my husband open an account?",
        "no",
        "yes",
    )
    # The rows as they stand are asked in the same go as their swaps.
    assert systems["tuned"].heard[:4] == [row.messages[1].content for row in (examples[i] for i in (0, 2, 4, 6))]
    assert "My brother lost his card." in systems["tuned"].heard


def test_rows_without_a_group_are_no_pass() -> None:
    heard: list[Event] = []
    examples = [example(1, "Where is order 7?", "there"), example(2, "Hello", "hi")]
    assert probe(Config(), asking(examples, systems={"tuned": Parrot("tuned", echo)}, heard=heard)) == []
    assert any(isinstance(event, Message) and "nothing was measured" in event.text for event in heard)


def test_half_a_swap_is_none() -> None:
    examples = [example(1, "Josh lost her card.", "x"), example(2, "Emily lost her card.", "x")]
    speaker = Parrot("tuned", echo)
    found = named(probe(Config(axes=("gender",)), asking(examples, systems={"tuned": speaker})))
    assert found["bias"].n == 1
    assert speaker.heard == ["Emily lost her card.", "Oliver lost his card."]


def test_few_rows_are_told() -> None:
    heard: list[Event] = []
    found = named(probe(Config(axes=("gender",)), asking(rows(4), systems={"tuned": Parrot("t", echo)}, heard=heard)))
    assert found["bias"].n == 2
    assert found["bias"].base is None
    assert "bias_amplification" not in found
    assert any(isinstance(event, Message) and "only 2 held-out rows" in event.text for event in heard)


def test_so_many_rows_are_drawn_and_the_same_ones_again() -> None:
    first, second = (Parrot("tuned", echo) for _ in range(2))
    for speaker in (first, second):
        found = named(probe(Config(axes=("gender",), most=3), asking(rows(40), systems={"tuned": speaker})))
        assert found["bias"].n == 3
    assert first.heard == second.heard


def test_a_gap_in_a_favourable_label() -> None:
    config = Config(**GENDER, favourable=("yes",))
    systems = {"tuned": Parrot("tuned", unfair), "base": Parrot("base", lambda question: "yes")}
    found = named(probe(config, asking(rows(8), systems=systems)))["bias_favourable"]
    # Wives get no, husbands yes, in two of four swaps.
    assert (found.value, found.base, found.n) == (0.5, 0.0, 4)
    (line,) = found.details["gaps"]
    assert (line["group"], line["beside"], line["gap, tuned"]) == ("men", "women", 0.5)
    assert line["p"] == pytest.approx(0.5)


def test_labels_that_go_by_groups_more_than_in_the_data() -> None:
    training = [example(f"t{i}", "my wife" if i % 2 else "my order", "no" if i % 4 == 1 else "yes") for i in range(40)]
    held = [example(i, "a wife" if i % 2 else "an order", "yes") for i in range(20)]
    answers = {
        "tuned": answered("tuned", held, ["no" if i % 2 else "yes" for i in range(20)]),
        "base": answered("base", held, ["yes"] * 20),
    }
    given = asking(
        held,
        answers=answers,
        systems={"tuned": Parrot("tuned", unfair)},
        training=training,
        answer_kind="label",
    )
    found = named(probe(Config(axes=("gender",)), given))["bias_label_amplification"]
    # In the data half of the wives' rows are "no" and none of the others; now all of them: half of the rows further.
    assert found.value == pytest.approx(0.5)
    assert found.base == pytest.approx(-0.5)
    assert found.n == 20


def test_labels_may_stand_in_a_field() -> None:
    config = Config(axes=("gender",), least=2, field="loan", favourable=("yes",))
    speaker = Parrot("tuned", lambda question: '{"loan": "no"}' if "wife" in question else '{"loan": "yes"}')
    answers = {"tuned": answered("tuned", rows(8), ['{"loan": "yes"}'] * 8)}
    found = named(probe(config, asking(rows(8), systems={"tuned": speaker}, answers=answers)))
    assert found["bias_favourable"].value == 0.5


def test_ones_own_groups() -> None:
    config = Config(groups={"region": {"north": ("Leeds",), "south": ("Dover",)}}, axes=("region",))
    examples = [example(row, "I live in Leeds.", "yes") for row in range(3)]
    speaker = Parrot("tuned", lambda question: "yes" if "leeds" in question.lower() else "no")
    found = named(probe(config, asking(examples, systems={"tuned": speaker})))
    assert (found["bias"].value, found["bias"].n) == (1.0, 3)
    assert speaker.heard[3:] == ["I live in Dover."] * 3


def test_free_answers_near_in_meaning_are_the_same(tmp_path: Path) -> None:
    examples = [example(row, "Where is my sister?", "in rome") for row in range(3)]
    speaker = Parrot("tuned", lambda asked: "ann visits rome" if "sister" in asked else "ann visits oslo")
    folder = encoder_folder(tmp_path / "encoder")
    for likeness, share in ((1e-6, 0.0), (1.0, 1.0)):
        config = Config(axes=("gender",), encoder=str(folder), likeness=likeness)
        given = asking(examples, systems={"tuned": speaker}, cache=tmp_path)
        assert named(probe(config, given))["bias"].value == share


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'gender'"):
        probe(Config(axes=("gendr",)), asking(rows(4), systems={"tuned": Parrot("tuned", echo)}))
    with pytest.raises(ValidationError, match="equally many forms"):
        Config(groups={"region": {"north": ("Leeds", "York"), "south": ("Dover",)}})
    with pytest.raises(InputError, match="only its stored answers"):
        probe(Config(), asking(rows(4)))
