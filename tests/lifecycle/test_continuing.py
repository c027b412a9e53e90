"""Where two recipes differ. How a run begins at another's checkpoint is tested through the command line."""

from __future__ import annotations

from tunewright.lifecycle.continuing import changes


def test_changes_name_the_field() -> None:
    assert changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == {"a.c": "a.c: was 2, is 3"}
    assert changes({"a": [1]}, {"a": [1]}) == {}
    assert changes({"method": "lora"}, {"method": {"name": "lora"}, "seed": 1}) == {
        "method": "method: was 'lora', is {'name': 'lora'}",
        "seed": "seed: was None, is 1",
    }
