"""Graders tried out: checked, or run on one answer."""

from __future__ import annotations

import time
from typing import Any, get_args

from fastapi import APIRouter

from tunewright.evaluate.graders import (
    Graded,
    GraderConfig,
    GradingError,
    Kind,
    Look,
    check_allowed,
    grade,
    parse_grader,
    sample_of,
)
from tunewright.lifecycle.grading import asker, grading_kit
from tunewright.server.context import Here, Server, Trainer
from tunewright.server.wire.graders import GraderRun, GraderValidate

router = APIRouter(prefix="/v1/fine_tuning/alpha/graders", tags=["graders"])

# What can go wrong here, and what only can in OpenAI's own reinforcement.
_ERRORS = (*get_args(Kind), "truncated_observation_error", "unresponsive_reward_error")


@router.post("/validate")
def validate(asked: GraderValidate, here: Here, caller: Trainer) -> dict[str, Any]:
    """Checks a grader, and gives it back as it was understood."""
    return {"grader": _read(asked.grader, here).as_json()}


@router.post("/run")
def run(asked: GraderRun, here: Here, caller: Trainer) -> dict[str, Any]:
    """Grades one answer; what goes wrong while grading is told in the reply."""
    grader = _read(asked.grader, here)
    kit = grading_kit(here.workspace, asker(here.fleet, caller.project), runs_python=here.settings.python_graders)
    began_s = time.monotonic()
    graded, error = Graded(0.0, False), None
    try:
        graded = grade(grader, Look(asked.item, sample_of(asked.model_sample)), kit)
    except GradingError as failed:
        error = failed
    return _told(grader, graded, error, time.monotonic() - began_s)


def _read(raw: dict[str, Any], here: Server) -> GraderConfig:
    grader = parse_grader(raw)
    check_allowed(grader, runs_python=here.settings.python_graders)
    return grader


def _told(grader: GraderConfig, graded: Graded, error: GradingError | None, took_s: float) -> dict[str, Any]:
    tokens = {each.model: 0 for each in graded.spent}
    for each in graded.spent:
        tokens[each.model] += each.prompt_tokens + each.completion_tokens
    parts = dict(graded.parts)
    return {
        "reward": graded.score,
        "sub_rewards": parts,
        "model_grader_token_usage_per_model": tokens,
        "metadata": {
            "name": grader.name,
            "type": grader.type,
            "execution_time": took_s,
            "scores": parts or ({} if error else {grader.name: graded.score}),
            "sampled_model_name": next(iter(tokens), None),
            "token_usage": sum(tokens.values()) if tokens else None,
            "errors": _errors(error),
        },
    }


def _errors(error: GradingError | None) -> dict[str, Any]:
    kind, said = ("", None) if error is None else (error.kind, str(error))
    return {
        **{name: name == kind for name in _ERRORS},
        "model_grader_server_error_details": said if kind.startswith("model_grader") else None,
        "python_grader_runtime_error_details": said if kind == "python_grader_runtime_error" else None,
        "python_grader_server_error_type": said if kind == "python_grader_server_error" else None,
        # Not in OpenAI's type, which clients read over: what the flags above do not say.
        "message": said,
    }
