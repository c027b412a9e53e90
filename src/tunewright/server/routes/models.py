"""Models: what is served, under which name. Names may hold `/`, as it is or as `%2F`, and `:`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tunewright.lifecycle.serving.names import ProtectedModelError, all_served, delete_model, find_served
from tunewright.server.context import Here, Reader, Trainer
from tunewright.server.errors import ApiError

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
def list_models(here: Here, caller: Reader) -> dict[str, Any]:
    """All models that can be asked."""
    served = all_served(here.workspace, project=caller.project)
    return {"object": "list", "data": [each.as_model() for each in served]}


@router.get("/{name:path}")
def retrieve(name: str, here: Here, caller: Reader) -> dict[str, Any]:
    """A model."""
    return find_served(here.workspace, name, project=caller.project).as_model()


@router.delete("/{name:path}")
def delete(name: str, here: Here, caller: Trainer) -> dict[str, Any]:
    """Takes a fine-tuned model out of service. Bases, releases and aliases are not deleted over the API."""
    try:
        delete_model(here.workspace, name, project=caller.project)
    except ProtectedModelError as error:
        raise ApiError(403, str(error), param="model", code="model_protected") from error
    return {"id": name, "object": "model", "deleted": True}
