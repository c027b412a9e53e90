"""Bodies of requests about graders; a grader itself is read by `evaluate.graders.parse_grader`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tunewright.server.wire.metadata import Sent


class GraderRun(Sent):
    """`POST /v1/fine_tuning/alpha/graders/run`."""

    grader: dict[str, Any]
    model_sample: str
    item: dict[str, Any] = Field(default_factory=dict)


class GraderValidate(Sent):
    """`POST /v1/fine_tuning/alpha/graders/validate`."""

    grader: dict[str, Any]
