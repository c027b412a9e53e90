"""What processes tell each other, and how one that fails ends the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunewright.train.ranks.group import ALONE, _buckets

_ROOT = Path(__file__).parents[3]
_WORKER = """
import time
import torch
from tunewright.base.errors import OutOfMemoryError, TunewrightError
from tunewright.train.ranks.group import join, leave

ranks = join()
assert ranks.tell({"run": 7} if ranks.is_first else None) == {"run": 7}
assert ranks.gather(ranks.rank * 10) == [0, 10]
assert ranks.agree(asked=not ranks.is_first, due=ranks.is_first) == (True, True)
tensors = [torch.full((2, 2), 1.0 + ranks.rank), torch.ones(3, dtype=torch.float64), torch.ones(1).t()]
ranks.add(tensors)
assert tensors[0].tolist() == [[3.0, 3.0], [3.0, 3.0]] and tensors[1].tolist() == [2.0] * 3
began = time.monotonic()
if ranks.is_first:
    try:
        with ranks.watched():
            ranks.gather(None)
    except TunewrightError as error:
        print(f"{error.what} / {error.hint} / {error.exit_code} / {time.monotonic() - began < 20}")
    ranks.end()
else:
    time.sleep(1)
    ranks.fail(OutOfMemoryError("This process has no room", hint="Give it some."))
    leave()
    ranks.wait_for_end()
"""


@pytest.mark.slow
def test_two_processes_talk_sum_and_say_why_one_has_failed(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(_WORKER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, str(tmp_path / "worker.py")],
        env={**os.environ, "PYTHONPATH": str(_ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "This process has no room / Give it some. / 2 / True\n"


def test_a_process_alone_hears_itself() -> None:
    assert ALONE.tell([1]) == [1]
    assert ALONE.gather("a") == ["a"]
    assert ALONE.agree(asked=True, due=False) == (True, False)
    tensor = torch.ones(2)
    ALONE.add([tensor])
    assert tensor.tolist() == [1, 1]


def test_buckets_hold_one_kind_in_order() -> None:
    kinds = [torch.ones(2), torch.ones(3), torch.ones(1, dtype=torch.bfloat16), torch.ones(4)]
    assert [[len(each) for each in bucket] for bucket in _buckets(kinds)] == [[2, 3], [1], [4]]
    assert list(_buckets([])) == []
