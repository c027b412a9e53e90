"""A job that has succeeded, trained once for all tests that look at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lifecycle.jobs.made import LEARNED, chat_rows, made_workspace, ordered, uploaded, work_off
from tunewright.store import Workspace
from tunewright.store.records import Record


@dataclass(frozen=True)
class Done:
    """A workspace, and in it a job that has succeeded, undisturbed."""

    workspace: Workspace
    job: Record


@pytest.fixture(scope="package")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # jobs that are compared with it run so, too: sums over more threads are rounded elsewhere
    workspace = made_workspace(tmp_path_factory.mktemp("done"))
    files = [uploaded(workspace, rows) for rows in (chat_rows(30), chat_rows(6, 100))]
    job = ordered(workspace, files[0], validation_file=files[1], suffix="desk", hyperparameters=LEARNED)
    work_off(workspace)
    yield Done(workspace, workspace.record("job", job.id))
    torch.set_num_threads(threads)
