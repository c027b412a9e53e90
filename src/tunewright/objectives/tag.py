"""Token classification: the mean negative log-likelihood of each word's tag.

A tag is an edge from the word's first token to a class of the head `tag`; the word's further tokens have no edge, which
others write as a label of -100 (Devlin et al. 2018, arXiv:1810.04805, section 5.3).
"""

from __future__ import annotations

from typing import Literal

from tunewright.objectives._classes import ClassesConfig, ClassObjective
from tunewright.objectives._protocol import Objective


class Config(ClassesConfig):
    """Settings of token classification."""

    head = "tag"

    name: Literal["tag"] = "tag"


def build(config: Config) -> Objective:
    """The objective."""
    return ClassObjective(config.head, config)
