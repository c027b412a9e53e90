"""Slices that cannot be made are refused before training."""

from __future__ import annotations

from pathlib import Path

import pytest

import tunewright as tw
from tests.lifecycle.world import make_world
from tunewright.base.errors import DataError, ModelError, RecipeError
from tunewright.lifecycle.job import start
from tunewright.lifecycle.slicing import check_slices, slicing_of
from tunewright.lifecycle.stages import prepare


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), rows=90)


def _check(world: Path, *overrides: str) -> None:
    with start(tw.load_recipe(world, overrides), workspace=world.parent / "ws") as job:
        check_slices(job, prepare(job))


def test_columns_of_the_rows_and_built_in_names_are_taken(world: Path) -> None:
    _check(world)
    _check(world, "evaluate.slices=[class, answer_length, language, source]", "evaluate.clusters=source")


def test_other_names_are_refused_with_what_they_may_have_meant(world: Path) -> None:
    for field, name in (("slices", "[langauge]"), ("clusters", "langauge")):
        with pytest.raises(DataError, match=r"column 'langauge' is not there.*Did you mean 'language'\?"):
            _check(world, f"evaluate.{field}={name}")
    # A dataset that was prepared for other questions has no such column either.
    with start(tw.load_recipe(world), workspace=world.parent / "ws") as job:
        dataset = prepare(job)
        for field, value in (("slices", ("lable",)), ("clusters", "sorce")):
            asked = job.recipe.evaluate.model_copy(update={field: value})
            job.recipe = job.recipe.model_copy(update={"evaluate": asked})
            with pytest.raises(RecipeError, match="The held-out rows have no column") as refused:
                check_slices(job, dataset)
            assert refused.value.where == f"evaluate.{field}"
            job.recipe = tw.load_recipe(world)


def test_topics_need_the_encoder(world: Path) -> None:
    with pytest.raises(ModelError, match="is not on this machine"):
        _check(world, "evaluate.slices=[topic]")


def test_what_was_learned_is_known_to_the_slices(world: Path) -> None:
    with start(tw.load_recipe(world), workspace=world.parent / "ws") as job:
        found = slicing_of(job, prepare(job))
        assert found is not None
        assert found.by == ("class", "question_length", "source")
        assert set(found.training) == {"red", "green", "blue"}
        assert len(found.training) == prepare(job).manifest["splits"]["train"]
    with start(tw.load_recipe(world, ["evaluate.slices=[]"]), workspace=world.parent / "ws") as job:
        assert slicing_of(job, prepare(job)) is None
