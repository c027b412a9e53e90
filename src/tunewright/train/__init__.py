"""The one training loop: examples in, adapter out, every step on record."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.train.loop import train
    from tunewright.train.trained import Trained

__all__ = ["Trained", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # needs torch
        from tunewright.train import loop

        return getattr(loop, name)
    raise AttributeError(f"module 'tunewright.train' has no attribute {name!r}")
