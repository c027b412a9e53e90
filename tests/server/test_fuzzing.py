"""Schemathesis asks whatever the server's own OpenAPI document allows, and what it does not: no answer is a 5xx."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from tests.tiny import tiny_folder
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.lifecycle.serving.names import set_alias
from tunewright.server.app import build_app
from tunewright.server.context import Server
from tunewright.store import Workspace

_EXAMPLES = 4  # of each operation and way


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("fuzzed")
    workspace = Workspace.open(folder / "ws")
    set_alias(workspace, "tiny", str(tiny_folder(folder / "base", max_position_embeddings=128)))
    fleet = Fleet(workspace, memory_bytes=1 << 30)
    fleet.start()
    yield schemathesis.openapi.from_asgi("/openapi.json", build_app(Server(workspace, fleet)))
    fleet.stop(0.0)


@pytest.mark.long
@pytest.mark.parametrize("way", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
def test_no_request_is_a_fault_of_the_servers(api: Any, way: GenerationMode) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    if way is GenerationMode.NEGATIVE:  # what stands in a path is a text, whatever it is
        operations = [each for each in operations if each.body or each.query]
    assert sum(_ask(operation, way) for operation in operations) > 50


def _ask(operation: Any, way: GenerationMode) -> int:
    """Sends some requests of an operation; says how many."""
    asked = 0

    @given(case=operation.as_strategy(generation_mode=way))
    @settings(
        max_examples=_EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case) -> None:
        nonlocal asked
        response = case.call()
        asked += 1
        assert response.status_code < 500, f"{operation.label}: {response.status_code}: {response.text}"
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    # Where a query, too, takes any text, nothing is against the description, and nothing can be drawn.
    with contextlib.suppress(Unsatisfiable):
        ask()
    return asked
