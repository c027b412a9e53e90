"""Metrics: one file each, from answers to numbers that any resample of the examples can be reduced to.

A metric is a plug-in with a class `Config` and `measure(config, answers) -> list[Measure]`. It is finite for whatever a
model may answer, does not depend on the order of the answers, and refuses an empty list.
"""

from tunewright.metrics._answer import Answer, Measure
from tunewright.metrics._defaults import default_metrics

__all__ = ["Answer", "Measure", "default_metrics"]
