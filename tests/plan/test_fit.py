import pytest

from tests.plan.made import SEVEN_B, made_device, made_forecast, made_recipe
from tunewright.base.errors import OutOfMemoryError
from tunewright.models import available
from tunewright.plan.fit import changed, changes, check_fits


def ways(forecast, wanted):
    return {next(iter(change.fields)): change for change in changes(forecast, wanted)}


def peak(forecast, **fields):
    recipe = changed(forecast.recipe, {name.replace("__", "."): value for name, value in fields.items()})
    return forecast.memory(recipe, forecast.work(recipe).worst).total


def test_each_setting_alone_is_tried_and_the_harmless_comes_first():
    forecast = made_forecast(made_recipe(batch_size=16, node_budget=2048), made_device())
    found = ways(forecast, peak(forecast) - 1)
    assert list(found)[:3] == ["train.node_budget", "train.checkpointing", "train.offload"]
    assert {"method.rank", "method", "base"} & set(found) >= {"method.rank"}
    assert found["train.batch_size"].fields == {"train.batch_size": 8}


def test_a_change_is_the_smallest_of_its_kind_that_fits():
    forecast = made_forecast(made_recipe(batch_size=32, node_budget=2048), made_device())
    wanted = peak(forecast, train__node_budget=512)
    budget = ways(forecast, wanted)["train.node_budget"]
    assert budget.fields == {"train.node_budget": 512}
    assert budget.peak_bytes == wanted
    assert peak(forecast, train__node_budget=1024) > wanted


def test_full_training_of_seven_billion_is_told_of_lora_and_qlora():
    forecast = made_forecast(made_recipe(SEVEN_B, method="full"), made_device(40 * 10**9, auto="bfloat16"))
    found = [change.fields for change in changes(forecast, 40 * 10**9)]
    assert {"method": "lora"} in found
    assert {"train.dtype": "bfloat16"} not in found  # its own weights are not trained in bfloat16


def test_where_no_setting_alone_is_enough_several_are():
    forecast = made_forecast(made_recipe(SEVEN_B, batch_size=64, node_budget=4096), made_device())
    least = peak(
        forecast,
        train__node_budget=64,
        train__checkpointing="layers",
        train__offload="optimiser",
        train__dtype="bfloat16",
        train__batch_size=1,
        method="qlora",
    )
    together = changes(forecast, least + 10**8)[0]
    assert len(together.fields) > 1
    assert together.peak_bytes <= least + 10**8


def test_where_nothing_helps_a_smaller_base_does_or_nothing():
    forecast = made_forecast(made_recipe(SEVEN_B), made_device())
    assert [list(change.fields) for change in changes(forecast, 2 * 10**9)] == [["base"]]
    assert changes(forecast, 10**6) == ()


def test_a_settings_name_with_the_method_keeps_its_rank():
    recipe = changed(made_recipe(method={"name": "lora", "rank": 32}), {"method": "qlora", "train.batch_size": 2})
    assert (recipe.method.plugin, recipe.method.rank, recipe.train.batch_size) == ("qlora", 32, 2)


def test_a_run_that_cannot_fit_is_refused_with_both_numbers_and_a_way_out(monkeypatch):
    forecast = made_forecast(made_recipe(batch_size=16, node_budget=2048, checkpointing="none"), made_device())
    monkeypatch.setattr(available, "available_bytes", lambda: 2 * 10**9)
    with pytest.raises(OutOfMemoryError) as caught:
        check_fits(forecast.recipe, forecast.size, {})
    assert caught.value.exit_code == 2
    assert "and 2.0 GB are free" in str(caught.value)
    assert "train.node_budget: " in str(caught.value)
    monkeypatch.setattr(available, "available_bytes", lambda: 10**12)
    check_fits(forecast.recipe, forecast.size, {})


def test_a_row_that_is_too_large_alone_is_told_of(monkeypatch):
    forecast = made_forecast(made_recipe(node_budget=8, checkpointing="layers", batch_size=1), made_device())
    monkeypatch.setattr(available, "available_bytes", lambda: 10**9)
    with pytest.raises(OutOfMemoryError, match=r"a data\.max_length below 63"):
        check_fits(forecast.recipe, forecast.size, {})
