import pytest

from tests.plan.made import SEVEN_B, made_device, made_forecast, made_recipe
from tunewright.plan.settle import MARGIN, settle


def settled(memory_bytes, base="smollm2-135m-instruct", **train):
    forecast = made_forecast(made_recipe(base, batch_size=64, **train), made_device(memory_bytes, is_here=True))
    return settle(forecast)


def peak(base="smollm2-135m-instruct", **train):
    forecast = made_forecast(made_recipe(base, batch_size=64, **train), made_device(is_here=True))
    return forecast.memory(forecast.recipe, forecast.work(forecast.recipe).worst).total


def test_where_there_is_room_pieces_are_the_largest_and_nothing_is_told():
    found = settled(1 << 50)
    assert (found.recipe.train.node_budget, found.recipe.train.checkpointing, found.reason) == (2048, "none", "")


def test_the_largest_pieces_that_fit_are_taken_with_a_margin():
    wanted = round(peak(node_budget=512) * MARGIN) + 1
    found = settled(wanted)
    assert (found.recipe.train.node_budget, found.recipe.train.checkpointing) == (512, "none")
    assert found.reason.startswith("Pieces of 512 nodes, for about ")
    assert "2,048 would take" in found.reason
    assert settled(wanted - 2).recipe.train.node_budget == 256


def test_blocks_are_computed_again_before_pieces_get_tiny():
    found = settled(round(peak(node_budget=256) * MARGIN) - 1)
    assert found.recipe.train.checkpointing == "layers"
    assert found.recipe.train.node_budget >= 256
    assert "computed again" in found.reason


def test_what_the_recipe_names_stays():
    little = round(peak(node_budget=128) * MARGIN) + 1
    assert settled(little, checkpointing="none").recipe.train.node_budget == 128
    found = settled(little, node_budget=1024).recipe.train
    assert (found.node_budget, found.checkpointing) == (1024, "layers")
    fixed = settled(1, node_budget=1024, checkpointing="none")
    assert (fixed.recipe.train.node_budget, fixed.reason) == (1024, "")


@pytest.mark.parametrize("base", ["smollm2-135m-instruct", SEVEN_B])
def test_where_nothing_fits_it_is_what_comes_nearest(base):
    found = settled(1, base).recipe.train
    assert (found.node_budget, found.checkpointing) == (64, "layers")


def test_a_card_begins_with_larger_pieces():
    forecast = made_forecast(made_recipe(batch_size=64), made_device())
    assert settle(forecast).recipe.train.node_budget == 8 * 2048
