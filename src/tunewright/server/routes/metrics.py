"""Prometheus' page: what was measured of answers, of models in memory, and of training."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tunewright.server.context import Admin, Here

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response)
def metrics(here: Here, caller: Admin) -> Response:
    """All that is measured, in Prometheus' text form. Where keys are asked for, the scope is `admin`."""
    return Response(generate_latest(here.watch.registry), media_type=CONTENT_TYPE_LATEST)
