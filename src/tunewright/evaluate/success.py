"""Whether the tuned model reached what the recipe calls success."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tunewright.base.errors import RecipeError, did_you_mean
from tunewright.evaluate.evaluate import TUNED, Evaluation

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_CONDITION = re.compile(r"^\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)\s*$")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition of success, and whether the tuned model meets it."""

    metric: str
    condition: str
    value: float
    passed: bool


def check_success(success: Mapping[str, str], evaluation: Evaluation) -> list[Verdict]:
    """Holds the tuned model's values against the recipe's conditions, in the recipe's order.

    Args:
        success: A metric of the tuned model (or `cut`, the share of answers cut off), and a bar such as `">= 0.9"`.
        evaluation: What was measured.

    Raises:
        RecipeError: If a metric was not measured, a condition cannot be read, or no tuned model was evaluated.
    """
    if not success:
        return []
    if TUNED not in evaluation.systems:
        raise RecipeError("Success is a matter of the tuned model, which was not evaluated", where="success")
    scores = evaluation.systems[TUNED]
    values = {name: interval.value for name, interval in scores.metrics.items()} | {"cut": scores.cut.value}
    return [_judge(metric, condition, values) for metric, condition in success.items()]


def _judge(metric: str, condition: str, values: Mapping[str, float]) -> Verdict:
    if metric not in values:
        raise RecipeError(
            f"The metric '{metric}' was not measured",
            where=f"success.{metric}",
            hint=f"{did_you_mean(metric, values)}Measured: {', '.join(values)}.",
        )
    read = _CONDITION.match(condition)
    if read is None:
        raise RecipeError(f"'{condition}' is no condition", where=f"success.{metric}", hint="As in: '>= 0.9'.")
    value = values[metric]
    return Verdict(metric, condition.strip(), value, OPERATORS[read[1]](value, float(read[2])))
