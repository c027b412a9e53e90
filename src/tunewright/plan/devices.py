"""Where training is to run: this machine, or a card out of `devices.yaml`."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tunewright.base.errors import UnknownNameError
from tunewright.models import available, memory
from tunewright.models.base import Dtype, pick_dtype
from tunewright.models.memory import PROCESS_BYTES
from tunewright.recipe.schema import LARGEST_BUDGET, Recipe
from tunewright.train.ranks.place import place

DEVICES = Path(__file__).with_name("devices.yaml")
THIS_MACHINE = "this-machine"

# What a CUDA context and the libraries' workspaces take of a card before any tensor.
_CONTEXT_BYTES = 900_000_000
# Shares of the best matrix product that training reaches. On a processor as measured (docs/performance.md); on a card
# stated, not measured.
_PROCESSOR_SHARE = 0.4
_CARD_SHARE = 0.3
_LARGEST_CARD_BUDGET = 8 * LARGEST_BUDGET
_PRODUCT_WIDTH = 1024
_TRIALS = 5


class Device(BaseModel):
    """A place to train in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    label: str
    memory_bytes: int = Field(ge=0, description="What training may take of it.")
    tflops: dict[str, float] = Field(description="Best matrix product, dense, in TFLOP/s.")
    auto: Dtype | None = Field(None, description="What `train.dtype: auto` means there; none: bfloat16 if it has that.")
    share: float = Field(_CARD_SHARE, gt=0, le=1, description="Share of its best product that training reaches.")
    process_bytes: int = Field(_CONTEXT_BYTES, ge=0, description="What is taken before any weights are there.")
    is_here: bool = False

    @property
    def dtype(self) -> str:
        """What `train.dtype: auto` means there."""
        return self.auto or ("bfloat16" if "bfloat16" in self.tflops else "float32")

    def best_product(self, dtype: str) -> float:
        """Its best matrix product in a dtype, in TFLOP/s; in one that it does not compute in, as in float32."""
        return self.tflops.get(dtype, self.tflops["float32"])

    def flops(self, dtype: str) -> float:
        """Operations a second that training reaches in a dtype."""
        return 1e12 * self.share * self.best_product(dtype)

    @property
    def largest_budget(self) -> int:
        """Nodes of a piece beyond which nothing gets quicker: on a processor as measured; on a card as reckoned, from
        its many more units.
        """
        return LARGEST_BUDGET if self.is_here else _LARGEST_CARD_BUDGET

    @property
    def machine(self) -> memory.Machine:
        """What it takes and loses by itself."""
        if self.is_here:
            return replace(memory.THIS_MACHINE, process_bytes=self.process_bytes)
        return memory.Machine(self.process_bytes, has_heap=False, maps_files=False)


@functools.cache
def devices() -> dict[str, Device]:
    """All named devices."""
    read = [Device.model_validate(item) for item in yaml.safe_load(DEVICES.read_text(encoding="utf-8"))]
    return {device.name: device for device in read}


def find_device(name: str | None) -> Device:
    """A device by its name; none: this machine.

    Raises:
        UnknownNameError: If there is no such device.
    """
    if name is None or name == THIS_MACHINE:
        return this_machine()
    known = devices()
    if name.lower() not in known:
        raise UnknownNameError("device", name, [*known, THIS_MACHINE], where="--device")
    return known[name.lower()]


def for_each(device: Device, recipe: Recipe) -> Device:
    """What of a device each of a run's processes may take: of this machine a share, of a named one all, its own."""
    processes = max(recipe.train.processes, place().world)
    if processes == 1 or not device.is_here:
        return device
    label = f"{device.label}, for each of {processes} processes"
    return device.model_copy(update={"label": label, "memory_bytes": device.memory_bytes // processes})


def this_machine() -> Device:
    """This machine: its free memory, and its best matrix product, timed here, once in a process."""
    return Device(
        name=THIS_MACHINE,
        label="this machine",
        memory_bytes=available.available_bytes(),
        tflops={dtype: _product_tflops(dtype) for dtype in ("float32", "bfloat16")},
        auto=pick_dtype("auto", "cpu"),
        share=_PROCESSOR_SHARE,
        process_bytes=PROCESS_BYTES,
        is_here=True,
    )


@functools.cache
def _product_tflops(dtype: str) -> float:
    """The best of a few matrix products on this machine's processor, in TFLOP/s."""
    import torch

    matrix = torch.ones(_PRODUCT_WIDTH, _PRODUCT_WIDTH, dtype=getattr(torch, dtype))
    taken = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        taken.append(time.perf_counter() - started)
    return 2 * _PRODUCT_WIDTH**3 / min(taken) / 1e12
