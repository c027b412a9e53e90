"""Metrics over any number of answers: a piece after another, and only a few numbers kept of each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from itertools import chain
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from tunewright.base.errors import InputError
from tunewright.base.plugins import METRICS, PluginConfig
from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Measure, Numbers, join_lists

_CELLS = attrgetter(*(cell.name for cell in fields(Answer)))
# Answers that are done before others have started to help.
_ALONE = 20_000
# Pieces that wait for a process to be free; more of them would only take memory.
_AHEAD = 2


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What a metric keeps of a piece of answers, where its measures depend on all of them.

    Args:
        n: Number of answers.
        arrays: By name, a few numbers for each answer, shape (n, …). Where pieces are joined, an answer of a piece that
            lacks an array has zeros in it.
        names: By number, what a name is that numbers stand for (labels by fingerprint, say); joined into one mapping.
    """

    n: int
    arrays: Mapping[str, Numbers]
    names: Mapping[int, str] = field(default_factory=dict)


def join_observed(pieces: Sequence[Observed]) -> Observed:
    """What was kept of pieces, in their order, as kept of all answers."""
    if len(pieces) == 1:
        return pieces[0]
    arrays = {}
    for name in dict.fromkeys(chain.from_iterable(piece.arrays for piece in pieces)):
        model = next(piece.arrays[name] for piece in pieces if name in piece.arrays)
        arrays[name] = np.concatenate(
            [
                piece.arrays[name] if name in piece.arrays else np.zeros((piece.n, *model.shape[1:]), model.dtype)
                for piece in pieces
            ]
        )
    names: dict[int, str] = {}
    for piece in pieces:
        names.update(piece.names)
    return Observed(sum(piece.n for piece in pieces), arrays, names)


def measure_pieces(
    pieces: Iterable[Sequence[Answer]],
    configs: Sequence[PluginConfig],
    *,
    processes: int = 1,
    heard: Callable[[int], None] | None = None,
) -> dict[str, Measure]:
    """Measures answers that need not be in memory together: a few numbers each are kept, and no text.

    The result does not depend on how the answers are cut, nor on the number of processes.

    Args:
        pieces: One system's answers, some thousands at a time. Empty pieces are passed over.
        configs: Settings of the metrics.
        processes: Processes that share the work, once there is enough of it; 1: this one does it all. They import the
            program's main module again, which must be guarded as `multiprocessing` asks for.
        heard: Told how many answers are done, now and then.

    Returns:
        Measures by name, in the metrics' order.

    Raises:
        InputError: If there are no answers, two measures share a name, or a metric refuses the answers.
    """
    kept: list[list[Any]] = [[] for _ in configs]
    done = 0
    for n, found in _look_at_each((piece for piece in pieces if len(piece)), configs, processes):
        for held, each in zip(kept, found, strict=True):
            held.append(each)
        done += n
        if heard is not None:
            heard(done)
    if not done:
        raise InputError("There are no answers to measure", where="metrics", hint="Hold out at least one row.")
    measures: dict[str, Measure] = {}
    for config, held in zip(configs, kept, strict=True):
        for measure in _measures(config, held):
            if measure.name in measures:
                raise InputError(f"Two metrics are called '{measure.name}'", where="evaluate.metrics")
            measures[measure.name] = measure
        held.clear()  # the joined arrays are a copy: both of every metric at once would double the memory
    return measures


def configs_of(names: Sequence[str]) -> list[PluginConfig]:
    """Metrics by their names, each once, with their default settings.

    Raises:
        UnknownNameError: If there is no such metric.
        InputError: If one cannot do without settings.
    """
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(METRICS.config(name)())
        except ValidationError as error:
            raise InputError(
                error.errors()[0]["msg"].removeprefix("Value error, "),
                where=name,
                hint="Settings go into a recipe, under evaluate.metrics.",
            ) from error
    return found


def place(configs: Sequence[PluginConfig], cache: Path) -> list[PluginConfig]:
    """The same metrics; those that need a model know where models are kept (they have `at(cache)`)."""
    return [config.at(cache) if hasattr(config, "at") else config for config in configs]


def measure_names(config: PluginConfig, answers: Sequence[Answer]) -> list[str]:
    """The names of a metric's measures, without measuring where the plug-in knows them beforehand.

    Args:
        answers: Right answers of the kind that will be measured; for plug-ins whose names depend on them.
    """
    if METRICS.has(config.plugin, "names"):
        names: list[str] = METRICS.call(config.plugin, "names", config)
        return names
    return [measure.name for measure in METRICS.call(config.plugin, "measure", config, answers)]


def _look_at(piece: Sequence[Answer], configs: Sequence[PluginConfig]) -> tuple[int, list[Any]]:
    """For each metric what it keeps of a piece: `Observed`, or a list of measures."""
    found = [
        METRICS.call(config.plugin, "observe" if METRICS.has(config.plugin, "observe") else "measure", config, piece)
        for config in configs
    ]
    return len(piece), found


def _look_at_columns(columns: Sequence[Sequence[Any]], configs: Sequence[PluginConfig]) -> tuple[int, list[Any]]:
    """The same of a piece that was sent column by column, which takes a third of the time."""
    return _look_at([Answer(*cells) for cells in zip(*columns, strict=True)], configs)


def _look_at_each(
    pieces: Iterable[Sequence[Answer]], configs: Sequence[PluginConfig], processes: int
) -> Iterator[tuple[int, list[Any]]]:
    if processes <= 1:
        for piece in pieces:
            yield _look_at(piece, configs)
        return
    here = 0
    pieces = iter(pieces)
    while here < _ALONE:
        if (first := next(pieces, None)) is None:
            return
        here += len(first)
        yield _look_at(first, configs)
    # Started anew and not forked: a fork of a process with threads (a model's, a table's) may never wake.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: list[Future[tuple[int, list[Any]]]] = []
        for piece in pieces:
            waiting.append(pool.submit(_look_at_columns, list(zip(*map(_CELLS, piece), strict=True)), configs))
            if len(waiting) >= processes * _AHEAD:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


def _measures(config: PluginConfig, held: Sequence[Any]) -> list[Measure]:
    if METRICS.has(config.plugin, "observe"):
        found: list[Measure] = METRICS.call(config.plugin, "measures", config, join_observed(held))
        return found
    return join_lists(held, where=config.plugin)
