"""Where models compute. That CUDA works is not tested here: no card is needed for these."""

from __future__ import annotations

import os

import pytest
import torch

from tunewright.base.errors import ModelError
from tunewright.models import available
from tunewright.models.base import pick_dtype
from tunewright.models.device import free_bytes, pick_device, place


class Model:
    """Notes where it was moved to."""

    moved_to = ""

    def to(self, device: str) -> Model:
        self.moved_to = device
        return self


def test_without_a_card_auto_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device() == pick_device("cpu") == "cpu"
    for attempt in (lambda: pick_device("cuda"), lambda: place(Model(), "cuda")):
        with pytest.raises(
            ModelError, match=r"train\.device: CUDA is asked for, and there is none: .*auto or cpu"
        ) as e:
            attempt()
        assert e.value.exit_code == 2


def test_with_a_card_auto_is_the_card_and_its_products_are_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert (pick_device(), pick_device("cuda"), pick_device("cpu")) == ("cuda", "cuda", "cpu")
    assert place(Model(), "cpu").moved_to == "cpu"
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert place(Model(), "cuda").moved_to == "cuda"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def test_the_dtype_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr("tunewright.models.base.processor_flags", frozenset)
    assert (pick_dtype(), pick_dtype("auto", "cuda"), pick_dtype("auto", "cpu")) == ("bfloat16", "bfloat16", "float32")
    assert pick_dtype("float32", "cuda") == "float32"


def test_what_is_free_is_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "available_bytes", lambda: 5)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (7, 9))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (free_bytes("cpu"), free_bytes("cuda"), free_bytes()) == (5, 7, 7)
