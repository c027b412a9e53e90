"""Sequence classification: the mean negative log-likelihood of each row's label.

The label is an edge from one token, an encoder's first or a causal model's last, to a class of the head `label`. With
the pooler that BERT comes with it is the loss of BERT's own classification (Devlin et al. 2018, arXiv:1810.04805).
"""

from __future__ import annotations

from typing import Literal

from tunewright.objectives._classes import ClassesConfig, ClassObjective
from tunewright.objectives._protocol import Objective


class Config(ClassesConfig):
    """Settings of sequence classification."""

    head = "label"

    name: Literal["classify"] = "classify"


def build(config: Config) -> Objective:
    """The objective."""
    return ClassObjective(config.head, config)
