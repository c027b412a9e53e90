"""No process outlives the one that started it."""

from __future__ import annotations

import subprocess
import sys

import psutil

_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
_CHILD = """
import time
from tunewright.train.ranks.ending import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(600)
"""


def test_a_process_ends_when_the_one_that_started_it_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, _CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs([child], timeout=20)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
