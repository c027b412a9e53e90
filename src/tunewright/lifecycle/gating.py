"""The gate of a run: what it names is checked before training, and judged once everything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import RecipeError, did_you_mean
from tunewright.base.plugins import PROBES, PluginConfig
from tunewright.lifecycle.answering import systems
from tunewright.lifecycle.champion import asks_champion, champion_of
from tunewright.lifecycle.job import Job
from tunewright.recipe.gate import CHAMPION, SLICE, VERSUS

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Evaluation
    from tunewright.recipe import Recipe

_ENDS = (".low", ".high")


def rule(job: Job, evaluation: Evaluation, adapter: str) -> list[dict[str, Any]]:
    """Each bar of the recipe's gate as `evaluate.Ruling.as_json()`; empty where the recipe has no gate.

    Args:
        job: The run.
        evaluation: What was measured.
        adapter: The adapter's hash: its own release is no champion to be held against.
    """
    from tunewright.evaluate import check_gate

    absent = []
    if asks_champion(job.recipe) and champion_of(job.workspace, job.recipe.name, adapter) is None:
        absent = [CHAMPION]
    return [ruling.as_json() for ruling in check_gate(job.recipe.gate, evaluation, absent=absent)]


def check_gate_names(recipe: Recipe, dataset: Dataset, measured: Sequence[str]) -> None:
    """Refuses a gate that names what will not be measured, as far as that can be known before training.

    Args:
        recipe: The run's.
        dataset: Its rows.
        measured: The metrics that will be measured.

    Raises:
        RecipeError: Says which name, and what it may have meant.
    """
    for what in recipe.gate:
        if what.startswith(VERSUS):
            _check_system(what, recipe, dataset)
        elif what.startswith(SLICE):
            _check_slice(what, recipe, measured)
        else:
            _check_number(what, recipe, measured)


def _check_system(what: str, recipe: Recipe, dataset: Dataset) -> None:
    answering = systems(recipe, dataset.answer_kind)
    if what.removeprefix(VERSUS) not in (*answering, CHAMPION):
        raise RecipeError(
            f"'{what.removeprefix(VERSUS)}' cannot answer rows of the kind '{dataset.answer_kind}'",
            where=f"gate.{what}",
            hint=f"Who answers: {', '.join(answering)}.",
        )


def _check_slice(what: str, recipe: Recipe, measured: Sequence[str]) -> None:
    from tunewright.evaluate import parse_slice

    by, _, metric, _ = parse_slice(what)
    asked = recipe.evaluate.slices
    # The fields of JSON answers are classes, each by its own name.
    if by not in asked and not (by.startswith("answer.") and "class" in asked):
        raise RecipeError(
            f"The rows are not told apart by '{by}'",
            where=f"gate.{what}",
            hint=f"{did_you_mean(by, asked)}Add it to evaluate.slices ({', '.join(asked) or 'none'}).",
        )
    if metric not in measured:
        _refuse(what, metric, measured)


def _check_number(what: str, recipe: Recipe, measured: Sequence[str]) -> None:
    name = what
    for end in _ENDS:
        name = name.removesuffix(end)
    if name in measured or what in measured:
        return
    asked = {config.plugin: finding_names(config) for config in recipe.evaluate.probes}
    if any(_is_of(name, probe, names) for probe, names in asked.items()):
        return
    for probe in PROBES.names():
        if probe not in asked and _is_of(name, probe, finding_names(PROBES.config(probe)())):
            raise RecipeError(
                f"'{name}' is found by the probe '{probe}', which the recipe does not ask",
                where=f"gate.{what}",
                hint=f"Add {probe} to evaluate.probes.",
            )
    if any(names is None for names in asked.values()):
        return  # a probe that names what it finds only once it has found it
    found = [each for names in asked.values() for each in names or ()]
    _refuse(what, name, [*measured, *found])


def finding_names(config: PluginConfig) -> tuple[str, ...] | None:
    """What a probe's findings are called, where it says so beforehand (`names(config)`); None where it does not."""
    if not PROBES.has(config.plugin, "names"):
        return None
    return tuple(PROBES.call(config.plugin, "names", config))


def _is_of(name: str, probe: str, names: Sequence[str] | None) -> bool:
    """Whether a finding is one of a probe's: one that it names, or else one that begins with the probe's own name."""
    return name in names if names is not None else name == probe or name.startswith(f"{probe}_")


def _refuse(what: str, name: str, known: Sequence[str]) -> None:
    raise RecipeError(
        f"'{name}' will not be measured",
        where=f"gate.{what}",
        hint=f"{did_you_mean(name, known)}Measured: {', '.join(known)}.",
    )


def missed(gate: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The bars that were not reached."""
    return [ruling for ruling in gate if not ruling["passed"]]
