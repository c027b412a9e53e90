"""What processes that train together tell each other.

The first process does everything that a run alone would do; the others take part in training, and write and say
nothing. Small values go through torch's key-value store or are gathered; tensors are summed by gloo, or NCCL on CUDA.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from tunewright.base.errors import RankLostError, TunewrightError
from tunewright.train.ranks.ending import end_with_parent, ignore_signals
from tunewright.train.ranks.place import Place, place

Value = TypeVar("Value")

# Longest that one process may wait for another in a sum: steps are dealt evenly, so far less is usual.
COLLECTIVE_TIMEOUT = timedelta(minutes=30)
_LOOK_EVERY_S = 0.5
_LAST_WORDS_S = 3.0  # how long a process that lost another listens for why
_BUCKET_NUMBERS = 1 << 24  # gradients summed in one go: bounds the copy that this takes
# What gloo, NCCL and the store say when another process is gone; other errors are this process's own.
_LOST = re.compile(r"connection (was )?(closed|reset|refused)|broken pipe|socket|timed? ?out|recvValue|NCCL", re.I)


class Ended(Exception):  # noqa: N818 - no error: the first process is done
    """The first process has ended, so that there is nothing more to take part in."""


class Ranks:
    """A process among those that train together.

    Args:
        place: Which one.
        store: What all of them reach; none for a process alone.
    """

    def __init__(self, place: Place, store: Any = None) -> None:
        self.rank, self.world, self.is_first = place.rank, place.world, place.is_first
        self._store, self._told = store, 0
        if store is not None:
            store.set(f"process/{self.rank}", str(os.getpid()))

    def tell(self, value: Any = None) -> Any:
        """The first process's value, which is plain JSON, for all; they wait for it as long as it takes.

        Raises:
            Ended: In another process, once the first one has ended.
            RankLostError: In another process, if the first one is gone without a word.
        """
        if self.world == 1:
            return value
        self._told += 1
        key = f"told/{self._told}"
        if self.is_first:
            self._store.set(key, json.dumps(value))
            return value
        while not self._store.check([key]):
            if self._store.check(["end"]):
                raise Ended
            if self._gone([0]):
                raise RankLostError("The first process of this run has ended without a word")
            time.sleep(_LOOK_EVERY_S)
        return json.loads(self._store.get(key))

    def after_first(self, work: Callable[[], Value]) -> Value:
        """Does work in the first process, and only then in the others."""
        if not self.is_first:
            self.tell()
        result = work()
        if self.is_first:
            self.tell()
        return result

    def gather(self, value: Value) -> list[Value]:
        """Each process's value, by rank, for all."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def agree(self, *, asked: bool, due: bool) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether the first one's clock says that a checkpoint is due."""
        found = self.gather((asked, due))
        return any(each for each, _ in found), found[0][1]

    @torch.no_grad()
    def add(self, tensors: Iterable[Tensor]) -> None:
        """Puts the sum over all processes in place of each tensor; all bring equal shapes in one order."""
        if self.world == 1:
            return
        for bucket in _buckets(list(tensors)):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            for tensor, part in zip(bucket, torch.split(flat, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Turns the loss of another process, within the block, into one clear error.

        Raises:
            RankLostError: If another process is gone; what it said last is raised in place of it.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1 or not _LOST.search(str(error)):
                raise
            if self.is_first:
                ignore_signals()  # who started the processes ends them all now, and this one has to say why
            raise self._last_words() from error

    def fail(self, error: TunewrightError) -> None:
        """Leaves word of why this process ends, for the first one to say."""
        told = {"what": error.what, "where": error.where, "hint": error.hint, "exit_code": error.exit_code}
        self._store.set(f"failed/{self.rank}", json.dumps(told))

    def end(self) -> None:
        """Says that the first process is done."""
        self._store.set("end", "")

    def wait_for_end(self) -> None:
        """Waits until the first process is done, or gone: one that ends before it would have it ended as well."""
        while not self._store.check(["end"]) and not self._gone([0]):
            time.sleep(_LOOK_EVERY_S)

    def _last_words(self) -> TunewrightError:
        """Why another process is gone, as far as that can be found out."""
        others = [rank for rank in range(self.world) if rank != self.rank]
        until = time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < until:
            for rank in others:
                if self._store.check([f"failed/{rank}"]):
                    told = json.loads(self._store.get(f"failed/{rank}"))
                    error = TunewrightError(told["what"], where=told["where"], hint=told["hint"])
                    error.exit_code = told["exit_code"]
                    return error
            if gone := self._gone(others):
                return _lost(f"Process {gone[0]} of {self.world} (counted from 0) has ended without a word")
            time.sleep(_LOOK_EVERY_S / 5)
        return _lost(f"Another of the {self.world} processes of this run does not answer")

    def _gone(self, ranks: Iterable[int]) -> list[int]:
        """Which of some processes have ended; all of them run on this machine."""
        import psutil

        found = []
        for rank in ranks:
            try:
                if psutil.Process(int(self._store.get(f"process/{rank}"))).status() == psutil.STATUS_ZOMBIE:
                    found.append(rank)
            except psutil.NoSuchProcess:
                found.append(rank)
        return found


ALONE = Ranks(Place())


@functools.cache
def join() -> Ranks:
    """Takes this process's place among those that torchrun or `--processes` started; waits for all to be there.

    Called again, it gives the same.
    """
    here = place()
    if here.world == 1:
        return ALONE
    end_with_parent()
    if torch.cuda.is_available():
        torch.cuda.set_device(here.local_rank)
    store, _, _ = next(dist.rendezvous("env://", here.rank, here.world))  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=here.rank, world_size=here.world, timeout=COLLECTIVE_TIMEOUT)
    ranks = Ranks(here, dist.PrefixStore("tunewright", store))  # type: ignore[attr-defined]
    ranks.gather(None)  # after it each process's number is known to all
    return ranks


def leave() -> None:
    """Gives this process's place up."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _lost(what: str) -> RankLostError:
    return RankLostError(
        what,
        where="train",
        hint="The system may have ended it for want of memory. Checkpoints are kept: go on with --resume.",
    )


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors in order, in runs of one dtype, and of not many more than `_BUCKET_NUMBERS` numbers."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(each.numel() for each in bucket) >= _BUCKET_NUMBERS
        if bucket and (full or bucket[0].dtype != tensor.dtype or bucket[0].device != tensor.device):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
