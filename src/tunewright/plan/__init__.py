"""Before hours are spent: will it fit, how long will it take, how much disk, and what would make it fit.

    plan = plan("recipe.yaml")                      # or device="h100-80gb", measured=True
    plan.fits, plan.as_recipe.memory.causes()

Forecasts are made from the recipe's own rows where they are prepared or can be made quickly, since a forest's size
depends on what the rows share.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.plan.predict import Plan, plan

__all__ = ["Plan", "plan"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # needs numpy and polars
        from tunewright.plan import predict

        return getattr(predict, name)
    raise AttributeError(f"module 'tunewright.plan' has no attribute {name!r}")
