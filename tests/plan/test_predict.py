import pytest

from tests.lifecycle.world import make_world
from tests.plan.made import LARGEST_BYTES, SEVEN_B, made_device, made_forecast, made_recipe, made_table
from tunewright.base.errors import InputError, UnknownNameError
from tunewright.models.memory import Piece
from tunewright.models.methods import full, lora
from tunewright.models.treatment import treat
from tunewright.plan import plan
from tunewright.plan.bases import known_bases
from tunewright.plan.devices import find_device
from tunewright.plan.predict import REGIMES, disk_bytes, full_state_bytes, training_flops
from tunewright.plan.work import Load, work_assumed
from tunewright.recipe import load_recipe
from tunewright.store import Workspace

SEVEN = known_bases()[SEVEN_B.lower()]


def test_a_model_of_seven_billion_in_full_takes_112_gb_at_16_bytes_and_about_90_at_12():
    totals = full_state_bytes(SEVEN)
    billions = SEVEN.parameters / 7e9
    assert totals[16] == pytest.approx(112e9 * billions, rel=1e-9)
    assert totals[12] == pytest.approx(84e9 * billions, rel=1e-9)
    # With some activations: a step of eight rows of 64 tokens in bfloat16, where full training's states are 12 bytes.
    forecast = made_forecast(made_recipe(SEVEN_B, dtype="bfloat16"), find_device("h200-141gb"))
    step = forecast.memory(forecast.recipe, Piece.of_rows(8, 64))
    beside = step.activations + step.attention + step.head + step.process
    assert 84e9 < totals[12] + beside < 95e9


def test_the_account_of_full_training_holds_16_bytes_a_parameter():
    forecast = made_forecast(made_recipe(SEVEN_B, method="full"), find_device("h200-141gb"))
    option = forecast.option("recipe", forecast.recipe, forecast.work(forecast.recipe))
    assert option.memory.state == 16 * SEVEN.parameters
    assert option.regime == "16 bytes a parameter (weight 4, gradient 4, optimiser 8)"


def test_in_bfloat16_masters_stand_beside_the_weights():
    forecast = made_forecast(made_recipe(SEVEN_B, method="full", dtype="bfloat16"), find_device("h200-141gb"))
    option = forecast.option("recipe", forecast.recipe, forecast.work(forecast.recipe))
    assert option.memory.state == 18 * SEVEN.parameters
    assert option.memory.copies == 4 * SEVEN.parameters
    assert option.regime == "18 bytes a parameter (weight 2 and its float32 master 4, gradient 4, optimiser 8)"


def test_qlora_of_seven_billion_fits_in_16_gb():
    forecast = made_forecast(made_recipe(SEVEN_B, method="qlora", dtype="bfloat16"), find_device("h100-80gb"))
    option = forecast.option("recipe", forecast.recipe, forecast.work(forecast.recipe))
    # 6.48 billion weights of 4.127 bits and 0.26 of 2 bytes, LoRA's 40 million in float32, activations of 252 nodes.
    assert 4e9 < option.memory.weights < 4.5e9
    assert option.memory.total < 16e9
    lora_option = made_forecast(made_recipe(SEVEN_B, dtype="bfloat16"), find_device("h100-80gb")).plan(0).as_recipe
    assert lora_option.memory.total > 16e9 > option.memory.total - 1e9


def test_the_recipe_comes_first_and_the_other_methods_behind_it():
    plan_ = made_forecast(made_recipe(method={"name": "rslora", "rank": 8}), made_device()).plan(0)
    assert [(option.name, option.method.plugin) for option in plan_.options] == [
        ("recipe", "rslora"),
        ("full", "full"),
        ("lora", "lora"),
        ("qlora", "qlora"),
    ]
    assert plan_.options[2].method.rank == 8
    plan_ = made_forecast(made_recipe(), made_device()).plan(0)
    assert [option.name for option in plan_.options] == ["recipe", "full", "qlora"]


def test_operations_worked_by_hand():
    work = work_assumed(made_recipe(), rows=0)
    treatment = treat(SEVEN, lora.Config(), "float32")
    load = Load(nodes=10, sources=4, pairs=100)
    linear, head = SEVEN.linear_parameters, 32_000 * 4096
    adapter = 40_000_000 - 22_144  # rank 16 on widths 4096, 4096, 4096, 4096, 11008, 11008, 11008 of 32 blocks
    adapter = 16 * 32 * (4 * 2 * 4096 + 3 * (4096 + 11_008))
    expected = 10 * (4 * linear + 3 * adapter) + 4 * 4 * head + 100 * 14 * 32 * 4096
    flops = training_flops(SEVEN, treatment, work.__class__(**{**vars(work), "training": load}))
    assert flops == pytest.approx(expected)
    whole = training_flops(
        SEVEN, treat(SEVEN, full.Config(), "float32"), work.__class__(**{**vars(work), "training": load})
    )
    assert whole == pytest.approx(10 * 6 * linear + 4 * 8 * head + 100 * 14 * 32 * 4096)


def test_time_is_operations_by_the_devices_rate():
    forecast = made_forecast(made_recipe(), made_device(tflops={"float32": 2.0}, share=0.5))
    work = forecast.work(forecast.recipe)
    option = forecast.option("recipe", forecast.recipe, work)
    flops = training_flops(forecast.size, treat(forecast.size, forecast.recipe.method, "float32"), work)
    assert option.seconds == pytest.approx(flops / 1e12)


def test_disk_holds_three_checkpoints_two_adapters_and_the_tokens():
    work = work_assumed(made_recipe(), rows=100)
    treatment = treat(SEVEN, lora.Config(rank=1), "float32")
    adapter = 4 * treatment.trained
    assert disk_bytes(treatment, work, kept=2.0) == 3 * 4 * adapter + 2 * adapter + 8 * 100 * 64


def test_regimes_are_named():
    assert set(REGIMES) == {18, 16, 12, 8}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), rows=120)


def test_a_plan_reads_the_recipes_own_rows_and_leaves_nothing_behind(world, monkeypatch):
    monkeypatch.delenv("TUNEWRIGHT_CACHE", raising=False)
    before = sorted(world.parent.rglob("*"))
    found = plan(world)
    assert found.work.is_known
    assert found.note == "the rows, read for this plan"
    assert found.work.rows == 84  # 120 less 12 and 24
    assert found.work.sharing == found.work.tokens / found.work.training.nodes > 1.4  # the template is in each row
    assert found.fits
    assert found.changes == ()
    assert sorted(world.parent.rglob("*")) == before


def test_prepared_rows_are_taken_from_the_workspace(world, tmp_path):
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.stages import prepare

    workspace = Workspace.open(tmp_path / "ws")
    with start(world, workspace=workspace, kind="prepare") as job:
        prepare(job)
    found = plan(world, workspace=workspace)
    assert found.note == "the rows as they were prepared before"
    assert found.work == plan(world).work


def test_a_named_card_is_planned_for_without_it(world):
    found = plan(world, device="t4-16gb")
    assert (found.device.label, found.dtype) == ("NVIDIA T4", "float32")
    assert found.as_recipe.memory.allocator == 0


def test_another_device_cannot_be_measured(world):
    with pytest.raises(InputError, match="this machine only"):
        plan(world, device="t4-16gb", measured=True)
    with pytest.raises(UnknownNameError):
        plan(world, device="t5")


def test_what_does_not_fit_comes_with_what_would_make_it_fit(world, monkeypatch):
    fixed = load_recipe(world, ["train.node_budget=2048", "train.checkpointing=none"])
    everything = plan(fixed).as_recipe.memory
    monkeypatch.setattr("tunewright.models.available.available_bytes", lambda: everything.total - 1)
    found = plan(fixed)
    assert not found.fits
    assert found.changes[0].fields.keys() == {"train.node_budget"}
    assert all(change.peak_bytes < everything.total for change in found.changes)


def test_method_auto_is_planned_as_it_would_be_chosen(world, tmp_path):
    recipe = load_recipe(world, ["method=auto"])
    assert plan(recipe).as_recipe.method.plugin in ("lora", "full")


def test_what_is_left_open_is_settled_by_what_is_free(world, monkeypatch):
    everything = plan(world)
    assert everything.recipe.train.node_budget == 2048
    monkeypatch.setattr("tunewright.models.available.available_bytes", lambda: everything.as_recipe.memory.total - 1)
    found = plan(world)
    assert found.recipe.train.node_budget < 2048 or found.recipe.train.checkpointing == "layers"
    assert found.as_recipe.memory.total < everything.as_recipe.memory.total


def test_blocks_computed_again_take_their_time_and_less_memory():
    forecast = made_forecast(made_recipe(batch_size=16), made_device())
    again = forecast.recipe.model_copy(
        update={"train": forecast.recipe.train.model_copy(update={"checkpointing": "layers"})}
    )
    work = forecast.work(forecast.recipe)
    once, twice = (forecast.option("recipe", recipe, work) for recipe in (forecast.recipe, again))
    assert twice.memory.total < once.memory.total / 2
    assert 1.2 < twice.seconds / once.seconds < 1.5  # of four passes through the blocks it makes six, at most


def test_json_has_all_of_it(world):
    document = plan(world).as_json()
    assert set(document["options"][0]["memory"]) >= {"weights", "gradients", "optimiser", "activations", "head"}
    assert document["full_state_bytes"]["16"] == 16 * document["parameters"]
    assert document["measured"] is None
    assert LARGEST_BYTES > document["options"][0]["peak_bytes"] == sum(document["options"][0]["memory"].values())


def test_rows_that_share_more_take_less():
    alike = made_table([[1] * 40 + [row + 2, 3] for row in range(8)])
    apart = made_table([[row + 2] * 41 + [3] for row in range(8)])
    recipe = made_recipe(batch_size=8)
    totals = [made_forecast(recipe, made_device(), {"train": rows}).plan(0).as_recipe for rows in (alike, apart)]
    assert totals[0].memory.total < totals[1].memory.total
    assert totals[0].seconds < totals[1].seconds / 3
