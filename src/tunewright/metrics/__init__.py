"""Metrics: one file each, from answers to numbers that any resample of the examples can be reduced to.

A metric is a plug-in with a class `Config`, `ABOUT` (its measures in words, by name), and

    measure(config, answers) -> list[Measure]

on a piece of the answers. Measures that are means, sums with a formula, or quantiles are joined by themselves. A metric
whose measures depend on all answers (which labels there are, which fields) has two functions more, and `measure` is one
of them after the other:

    observe(config, answers) -> Observed          # of a piece: a few numbers for each answer
    measures(config, observed) -> list[Measure]   # of all pieces, joined

It is finite for whatever a model may answer, does not depend on the order of the answers nor on how they are cut, and
refuses an empty list. One that looks at the given answers alone says `NEEDS_REFERENCE = False`; one that costs much
says the `names(config)` of its measures beforehand.
"""

from tunewright.metrics._about import About, about
from tunewright.metrics._answer import Answer
from tunewright.metrics._defaults import default_metrics
from tunewright.metrics._measure import Measure, Sums, join
from tunewright.metrics._pieces import Observed, configs_of, measure_names, measure_pieces, place

__all__ = [
    "About",
    "Answer",
    "Measure",
    "Observed",
    "Sums",
    "about",
    "configs_of",
    "default_metrics",
    "join",
    "measure_names",
    "measure_pieces",
    "place",
]
