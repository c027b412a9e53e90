from __future__ import annotations

import inspect
import pickle
import re

import pytest

from tunewright.base import errors
from tunewright.base.errors import (
    DataError,
    MissingExtraError,
    TrainingDivergedError,
    TunewrightError,
    UnknownNameError,
    collect,
    did_you_mean,
)

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TunewrightError)]


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = TunewrightError("'content' is empty", where="chat.jsonl:417", hint="Fill it in.")
    assert str(error) == "chat.jsonl:417: 'content' is empty. Fill it in."
    assert str(TunewrightError("It failed")) == "It failed."
    assert error.as_json() == {
        "type": "TunewrightError",
        "what": "'content' is empty",
        "where": "chat.jsonl:417",
        "hint": "Fill it in.",
    }


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_the_tree_is_drawn_as_it_is(kind: type[TunewrightError]) -> None:
    drawing = inspect.cleandoc(errors.__doc__ or "")
    ((indent, line),) = re.findall(rf"^([^\w\n]*)\b({kind.__name__}\b.*)$", drawing, re.MULTILINE)
    depth = len(kind.__mro__) - len(TunewrightError.__mro__)
    assert len(indent) == 4 * depth
    drawn = re.search(r"exit (\d)", line)
    assert kind.exit_code == int(drawn.group(1) if drawn else 2)


def test_a_near_name_is_proposed() -> None:
    known = ["dpo", "kto", "orpo", "sft"]
    error = UnknownNameError("objective", "dpoo", known)
    assert str(error) == "objective 'dpoo' is unknown. Did you mean 'dpo'? Known: dpo, kto, orpo, sft."
    assert did_you_mean("something else", known) == ""


def test_a_missing_package_comes_with_its_command() -> None:
    error = MissingExtraError("optuna", extra="search", needed_for="A search")
    assert "Install it with: pip install 'tunewright[search]'." in str(error)


def test_many_faults_are_shown_in_part_and_counted_in_full() -> None:
    faults = [f"line {number}" for number in range(1, 31)]
    assert collect(faults[:2]) == "  line 1\n  line 2"
    assert collect(faults[:20]).splitlines()[-1] == "  line 20"
    assert collect(faults).splitlines()[-2:] == ["  line 20", "  … and 10 more"]
    assert collect(faults[:20], total=1234).splitlines()[-1] == "  … and 1,214 more"


@pytest.mark.parametrize(
    "error",
    [
        DataError("'content' is empty", where="chat.jsonl:417", hint="Fill it in."),
        MissingExtraError("duckdb", extra="sql", needed_for="Reading a database"),
        UnknownNameError("metric", "blue", ["bleu"]),
        TrainingDivergedError("NaN", learning_rate=0.1, has_checkpoint=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_from_one_process_to_another(error: TunewrightError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
