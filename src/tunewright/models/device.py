"""Where a model computes: this machine's processor, or its CUDA card."""

from __future__ import annotations

import os
from typing import Any, Literal

from tunewright.base.errors import ModelError

Device = Literal["cpu", "cuda"]
WantedDevice = Literal["auto", "cpu", "cuda"]


def pick_device(wanted: WantedDevice = "auto") -> Device:
    """The device to compute on; `auto` is CUDA where there is a card.

    Raises:
        ModelError: If CUDA is asked for, and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "auto":
        return "cpu"
    built = "this torch is built without it" if torch.version.cuda is None else "torch finds no card"
    raise ModelError(
        f"CUDA is asked for, and there is none: {built}",
        where="train.device",
        hint="Set it to auto or cpu, or install a torch that is built for the card's driver.",
    )


def place(model: Any, device: Device) -> Any:
    """Moves a model to a device, and gives it back.

    Raises:
        ModelError: If the device is CUDA, and there is none.
    """
    if pick_device(device) == "cuda":
        # Deterministic matrix products need a workspace of fixed size, and cuBLAS asks for it at its first product.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return model.to(device)


def free_bytes(device: str = "") -> int:
    """Memory that is free where models compute: on a device, or on the one that is chosen."""
    if (device or pick_device()) == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    from tunewright.models.available import available_bytes

    return available_bytes()
