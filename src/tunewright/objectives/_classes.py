"""What objectives that tell classes apart share: a class is an edge from a token to one output of a named head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from tunewright.base.errors import DataError, RecipeError, did_you_mean
from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, Path
from tunewright.objectives._protocol import LossSum, ObjectiveConfig

if TYPE_CHECKING:
    from tunewright.forest.edges import EdgeScores


class ClassesConfig(ObjectiveConfig):
    """Settings of an objective that tells classes apart."""

    class_weights: dict[str, float] = Field(
        default_factory=dict, description="How much examples of a class count; 1 for those that are not named."
    )


class ClassObjective:
    """The mean negative log-likelihood of the right classes, as `torch.nn.CrossEntropyLoss` has it with its `weight`.

    That is the sum over what is learned of weight times loss, over the sum of the weights.

    Args:
        head: Name of the head that predicts.
        config: The class weights.
    """

    needs_reference = False

    def __init__(self, head: str, config: ClassesConfig) -> None:
        self._head, self._weights = head, config.class_weights

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        """One path, whose edges lead to classes.

        Raises:
            DataError: If the example has no classes.
            RecipeError: If a class is weighed that there is none of, or not above 0.
        """
        if example.targets is None:
            raise DataError(
                f"This row has no classes, and the head '{self._head}' predicts such",
                where=f"row {row}",
                hint="Bring rows with a label or with tags, or set train.objective to sft.",
            )
        weights = example.weights
        if self._weights:
            weights = weights * self._of_classes(example.classes)[example.targets]
        return [
            Path(
                example.tokens,
                weights,
                group,
                row,
                head=self._head,
                targets=example.targets,
                both_ways=example.both_ways,
                types=example.types,
            )
        ]

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        """The loss, and the share of the weight whose class is the most probable one."""
        weight_E = scores.logp.new_tensor(forest.edge_weight())
        right = float((weight_E * scores.hit).sum())
        return LossSum(-(weight_E * scores.logp).sum(), weight=forest.weight, reported={"accuracy": right})

    def _of_classes(self, classes: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """The weight of each class, shape (C,)."""
        for name, weight in self._weights.items():
            if name not in classes:
                raise RecipeError(
                    f"'{name}' is none of the classes",
                    where="train.objective.class_weights",
                    hint=f"{did_you_mean(name, classes)}Known: {', '.join(classes)}.",
                )
            if not weight > 0:
                raise RecipeError(
                    f"The class '{name}' weighs {weight}, and a weight is above 0",
                    where="train.objective.class_weights",
                    hint="Leave its rows out if they are not to count.",
                )
        return np.array([self._weights.get(name, 1.0) for name in classes], dtype=np.float32)
