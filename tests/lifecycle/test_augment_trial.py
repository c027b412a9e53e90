"""Whether augmented rows are kept: a trial with rows that help, rows that harm, and rows that change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.world import write_recipe, write_rows
from tunewright.base.events import Event, Message, Stage
from tunewright.data.augmenting import Sample, Trial
from tunewright.lifecycle.augment_trial import try_augmented
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import prepare
from tunewright.recipe import load_recipe
from tunewright.store import Workspace

ANIMALS, PLANTS = ("cat", "dog", "owl", "fox", "bee"), ("fern", "moss", "oak", "ivy", "reed")


def _samples(names: tuple[str, ...], label: str, rows: int, start: int = 0) -> list[Sample]:
    return [
        Sample(f"the {names[n % len(names)]} is number {n}", label, f"{label}-{n}") for n in range(start, start + rows)
    ]


# Two thirds of the words never stand among the own rows, so that only augmented rows can teach them.
OWN = [*_samples(ANIMALS[:2], "animal", 20), *_samples(PLANTS[:2], "plant", 20)]
HELD = [*_samples(ANIMALS, "animal", 15, 100), *_samples(PLANTS, "plant", 15, 100)]


def _made(swapped: bool) -> list[Sample]:
    """What could be made of the own rows, with the right labels or with the other one's."""
    found = []
    for label, names, other in (("animal", ANIMALS, "plant"), ("plant", PLANTS, "animal")):
        for n in range(60):
            found.append(Sample(f"the {names[n % 5]} is {n}", other if swapped else label, f"{label}-{n % 20}"))
    return found


def _try(made: list[Sample]) -> tuple[bool, dict[str, object], str]:
    verdict = try_augmented(Trial(OWN, made, HELD, 3, seed=5), cache=None)
    return verdict.keep, dict(verdict.figures), verdict.told


def test_rows_that_help_are_kept_and_rows_that_harm_are_not() -> None:
    keep, figures, told = _try(_made(swapped=False))
    assert keep
    assert figures["features"] == "words"
    assert len(figures["gains"]) == 3  # type: ignore[arg-type]
    assert figures["gain"] == pytest.approx(sum(figures["gains"]) / 3)  # type: ignore[arg-type]
    assert figures["with"]["macro_f1"] == 1.0  # type: ignore[index]
    assert figures["with"]["macro_f1"] - figures["without"]["macro_f1"] == pytest.approx(figures["gain"])  # type: ignore[index]
    assert told.startswith("Augmented rows are kept")
    keep, figures, told = _try(_made(swapped=True))
    assert not keep
    assert figures["gain"] < 0  # type: ignore[operator]
    assert told.startswith("Augmented rows are left out")


def test_rows_that_change_nothing_are_kept() -> None:
    # A gain of nothing at all lowers nothing; none of these parents is among the own rows.
    keep, figures, _ = _try([Sample("the cat", "plant", "stranger")])
    assert keep
    assert figures["gains"] == [0.0, 0.0, 0.0]


def test_a_trial_repeats_itself() -> None:
    assert _try(_made(swapped=False)) == _try(_made(swapped=False))


def test_a_run_tries_out_what_it_augments(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", 150)
    augment = {"by": ["swap"], "similarity": "words", "trials": 2}
    recipe = load_recipe(write_recipe(tmp_path, data={"augment": augment}))
    heard: list[Event] = []
    with start(recipe, workspace=Workspace.open(tmp_path / "ws"), listener=heard.append, kind="prepare") as job:
        dataset = prepare(job)
    report = dataset.manifest["augment"]
    assert report["made"] > 0
    assert report["trial"]["validation_rows"] == 12
    assert report["rows"] == (report["made"] if report["trial"]["gain"] >= 0 else 0)
    assert report["trial"]["told"] in [event.text for event in heard if isinstance(event, Message)]
    assert any(isinstance(event, Stage) and event.name == "augmentation trial" for event in heard)
