"""Graders: one file each, from a model's answer to a score, in the words of OpenAI's fine-tuning and evals API.

A grader is a plug-in whose file name is its `type`. It has a class `Config`, derived from `GraderConfig`, and

    grade(config, look, kit) -> Graded      # raises GradingError where there is no score to give

Its texts are templates: `{{item.field}}` is the row's, `{{sample.output_text}}` the answer. What a grader needs of the
world (a model to ask, an encoder, leave to run code) is in its kit, so that none of them reaches out by itself.
"""

from tunewright.evaluate.graders._contract import (
    GRADERS,
    Ask,
    Graded,
    GraderConfig,
    GradingError,
    Kind,
    Kit,
    Spent,
    check_allowed,
    check_item,
    grade,
    parse_grader,
)
from tunewright.evaluate.graders._judging import Message, spent_by
from tunewright.evaluate.graders._templates import Look, fill_messages, find, sample_of

__all__ = [
    "GRADERS",
    "Ask",
    "Graded",
    "GraderConfig",
    "GradingError",
    "Kind",
    "Kit",
    "Look",
    "Message",
    "Spent",
    "check_allowed",
    "check_item",
    "fill_messages",
    "find",
    "grade",
    "parse_grader",
    "sample_of",
    "spent_by",
]
