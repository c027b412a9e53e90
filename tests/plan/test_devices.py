import pytest

from tests.train.made import made_recipe
from tunewright.base.errors import UnknownNameError
from tunewright.models import available, memory
from tunewright.plan.devices import devices, find_device, for_each


def test_a_card_is_found_by_its_name():
    card = find_device("H100-80GB")
    assert (card.memory_bytes, card.best_product("bfloat16"), card.dtype, card.is_here) == (
        80 << 30,
        989,
        "bfloat16",
        False,
    )
    assert card.machine == memory.Machine(card.process_bytes, has_heap=False, maps_files=False)


def test_each_card_says_what_it_can_do():
    for device in devices().values():
        assert 10e9 < device.memory_bytes < 200e9
        assert 1 < device.best_product("float32") <= device.best_product(device.dtype) < 3000


def test_a_card_without_bfloat16_computes_in_float32():
    card = find_device("t4-16gb")
    assert card.dtype == "float32"
    assert card.flops("bfloat16") == card.flops("float32") == 8.1e12 * card.share


def test_an_unknown_card_is_refused_with_what_was_meant():
    with pytest.raises(UnknownNameError, match="Did you mean 'h100-80gb'"):
        find_device("h100-80g")


def test_this_machine_is_measured(monkeypatch):
    monkeypatch.setattr(available, "available_bytes", lambda: 12_345)
    here = find_device(None)
    assert (here.name, here.memory_bytes, here.is_here) == ("this-machine", 12_345, True)
    assert here.best_product("float32") > 0
    assert here.machine == memory.THIS_MACHINE


def test_processes_share_this_machine_and_have_a_card_each(monkeypatch):
    monkeypatch.setattr(available, "available_bytes", lambda: 12_345)
    recipe = made_recipe(processes=3)
    here, card = find_device(None), find_device("h100-80gb")
    share = for_each(here, recipe)
    assert (share.memory_bytes, share.label, share.is_here) == (4115, "this machine, for each of 3 processes", True)
    assert for_each(card, recipe) is card
    assert for_each(here, made_recipe()) is here
