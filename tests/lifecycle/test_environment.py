"""What a run's bits depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tunewright.lifecycle.environment import _processor, describe, differences


def test_the_environment_names_what_bits_depend_on() -> None:
    found = describe(device="cpu", dtype="float32", base_hash="ab", seed=3)
    assert found["versions"]["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] >= 1
    assert (found["dtype"], found["base_hash"], found["seed"]) == ("float32", "ab", 3)


def test_differences_are_told_in_words() -> None:
    then: dict[str, Any] = describe(device="cpu", dtype="float32", base_hash="ab", seed=3)
    now = {**then, "versions": {**then["versions"], "torch": "9.9"}, "cores": 99}
    assert differences(then, now) == [f"torch {then['versions']['torch']} is now 9.9"]
    assert differences(then, then) == []


def test_the_processor_is_read_from_linux(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Abacus 2000\n")
    assert _processor(tmp_path / "cpuinfo") == "Abacus 2000"
    assert _processor(tmp_path / "none")
