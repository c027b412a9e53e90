from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunewright.store import Lineage, Workspace


def put(workspace: Workspace, kind: str, content: str, *parents: str, producer: str = "run-1") -> str:
    manifest = {"content": content, "rows": [1, 2]}
    stored = workspace.put(
        kind, lambda folder: (folder / "x").write_text(content), manifest=manifest, parents=parents, producer=producer
    )
    return stored.hash


def test_a_chain_leads_back_to_the_source(workspace: Workspace) -> None:
    source = put(workspace, "source", "rows")
    dataset = put(workspace, "dataset", "examples", source)
    adapter = put(workspace, "adapter", "weights", dataset, producer="run-2")
    tree = workspace.lineage(adapter[:8])
    assert (tree.kind, tree.hash, tree.producer) == ("adapter", adapter, "run-2")
    assert tree.summary == {"content": "weights"}
    (above,) = tree.parents
    assert (above.kind, above.hash, above.producer) == ("dataset", dataset, "run-1")
    assert [parent.hash for parent in above.parents] == [source]
    assert json.loads(json.dumps(tree.as_json()))["parents"][0]["parents"][0]["hash"] == source


def test_parents_keep_their_order_and_stand_once(workspace: Workspace) -> None:
    first, second = put(workspace, "source", "b"), put(workspace, "source", "a")
    child = put(workspace, "dataset", "both", second, first, second)
    assert [parent.hash for parent in workspace.lineage(child).parents] == [second, first]


def test_parents_of_every_producer_are_told(workspace: Workspace) -> None:
    first, second = put(workspace, "source", "one"), put(workspace, "source", "two")
    child = put(workspace, "dataset", "same", first, producer="run-1")
    assert put(workspace, "dataset", "same", second, producer="run-2") == child
    tree = workspace.lineage(child)
    assert tree.producers == ("run-1", "run-2")
    assert [parent.hash for parent in tree.parents] == [first, second]


def test_ways_that_meet_again_are_followed_once(workspace: Workspace) -> None:
    top = put(workspace, "source", "0")
    for level in range(1, 30):  # followed twice each, this would be 2**29 nodes
        left, right = put(workspace, "dataset", f"{level}-left", top), put(workspace, "dataset", f"{level}-right", top)
        top = put(workspace, "dataset", str(level), left, right)
    left_tree, right_tree = workspace.lineage(top).parents
    assert not left_tree.parents[0].repeated
    assert right_tree.parents[0].repeated
    assert right_tree.parents[0].parents == ()


def test_a_circle_ends(workspace: Workspace) -> None:
    """A step that changes nothing gives its parent's content, and so its parent's name."""
    first = put(workspace, "dataset", "one")
    second = put(workspace, "dataset", "two", first)
    assert put(workspace, "dataset", "one", second) == first
    tree = workspace.lineage(first)
    assert tree.parents[0].hash == second
    assert tree.parents[0].parents[0].hash == first
    assert tree.parents[0].parents[0].repeated


@given(edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tree_holds_every_ancestor(workspace: Workspace, edges: list[tuple[int, int]]) -> None:
    tag = repr(edges)
    hashes = [put(workspace, "dataset", f"{tag}{number}") for number in range(5)]
    for child, parent in edges:
        put(workspace, "dataset", f"{tag}{child}", hashes[parent])
    expected, waiting = {0}, [0]
    while waiting:
        found = {parent for child, parent in edges if child == waiting[-1]} - expected
        waiting = waiting[:-1] + sorted(found)
        expected |= found
    assert _hashes(workspace.lineage(hashes[0])) == {hashes[number] for number in expected}


def _hashes(tree: Lineage) -> set[str]:
    return {tree.hash}.union(*(_hashes(parent) for parent in tree.parents))
