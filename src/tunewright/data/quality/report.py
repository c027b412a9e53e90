"""All inspections of one view, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tunewright.base.errors import InputError, TunewrightError
from tunewright.base.events import Stage
from tunewright.base.plugins import INSPECTIONS, PluginConfig
from tunewright.data.quality.inspection import VERDICTS, Inspection, NotRun, Verdict
from tunewright.data.quality.view import STAGE, Rows, View

# What a report says beside its inspections, so that none may be called like it.
_OWN = ("path", "rows", "columns", "format", "answers", "held_out", "benchmarks", "verdicts", "not_run")


@dataclass(frozen=True)
class Report:
    """What inspecting found.

    Args:
        path: What was inspected, as the user named it.
        view: What was looked at.
        inspections: By plug-in's name, the worst first.
        not_run: Those that would apply and lack something, by name.
    """

    path: str
    view: View
    inspections: Mapping[str, Inspection]
    not_run: Mapping[str, NotRun]

    @property
    def verdicts(self) -> dict[Verdict, list[str]]:
        """The inspections' names by verdict."""
        return {
            verdict: [name for name, found in self.inspections.items() if found.verdict == verdict]
            for verdict in VERDICTS
        }

    @property
    def lacking(self) -> list[tuple[NotRun, list[str]]]:
        """What inspections lack, each with the names of those that lack it."""
        return [
            (lacks, [name for name, one in self.not_run.items() if one == lacks])
            for lacks in dict.fromkeys(self.not_run.values())
        ]

    def as_json(self) -> dict[str, Any]:
        """One object: facts about the rows, the verdicts, and under each inspection's name what it found."""
        view = self.view
        return {
            "path": self.path,
            "rows": view.data.total,
            "columns": list(view.data.columns),
            "format": view.format,
            "answers": view.kind,
            "held_out": _totals(view.held_out),
            "benchmarks": _totals(view.benchmarks),
            "verdicts": self.verdicts,
            "not_run": {name: {"reason": lacks.reason, "advice": lacks.advice} for name, lacks in self.not_run.items()},
            **{name: found.as_json() for name, found in self.inspections.items()},
        }


def inspect(
    view: View, *, path: str, only: Sequence[str] = (), settings: Mapping[str, PluginConfig] | None = None
) -> Report:
    """Asks every inspection, or those named, what it finds.

    Args:
        view: What to look at.
        path: What to call it.
        only: Names of inspections; none: all.
        settings: Of single inspections, by name; the others take their defaults.

    Raises:
        UnknownNameError: If `only` names none that there is.
        InputError: If one that was asked for by name does not apply.
    """
    names = tuple(dict.fromkeys(only)) or INSPECTIONS.names()
    for name in names:
        INSPECTIONS.module(name)
        if name in _OWN:
            raise TunewrightError(f"An inspection may not be called '{name}'", where="tunewright.data.inspections")
    view.listener(Stage(STAGE, "started", total=len(names), unit="inspections"))
    found: dict[str, Inspection] = {}
    not_run: dict[str, NotRun] = {}
    for done, name in enumerate(names):
        view.listener(Stage(STAGE, "progress", done=done, total=len(names), unit="inspections", note=name))
        config = (settings or {}).get(name) or INSPECTIONS.config(name)()
        answer: Inspection | NotRun | None = INSPECTIONS.call(name, "inspect", view, config)
        if isinstance(answer, NotRun):
            not_run[name] = answer
        elif answer is not None:
            found[name] = answer
        elif only:
            raise InputError(
                f"The inspection '{name}' does not apply here",
                where=path,
                hint="It needs labels, held-out rows (--against) or a recipe (--recipe): see docs/data.md.",
            )
    view.listener(Stage(STAGE, "finished", done=len(names), total=len(names), unit="inspections"))
    worst_first = sorted(found.items(), key=lambda item: VERDICTS.index(item[1].verdict))
    return Report(path, view, dict(worst_first), not_run)


def read_settings(given: Sequence[str]) -> dict[str, PluginConfig]:
    """Settings of inspections as they are typed: `leakage.n=5`, the value in YAML.

    Raises:
        InputError: If one is not of this form, or names an inspection, a field or a value that there is not.
    """
    import yaml

    typed: dict[str, dict[str, Any]] = {}
    for each in given:
        place, equals, value = each.partition("=")
        name, dot, field = place.strip().partition(".")
        if not equals or not dot:
            raise InputError("A setting reads NAME.FIELD=VALUE", where=each, hint="As in: leakage.n=5.")
        INSPECTIONS.module(name)
        try:
            typed.setdefault(name, {})[field] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError("The value is not valid YAML", where=each) from error
    return {name: _config(name, fields) for name, fields in typed.items()}


def _config(name: str, fields: Mapping[str, Any]) -> PluginConfig:
    known = INSPECTIONS.config(name)
    try:
        return known.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        listed = ", ".join(own for own in known.model_fields if own != "name")
        raise InputError(f"{fault['msg']}", where=f"{name}.{field}", hint=f"Fields: {listed}.") from error


def _totals(several: Sequence[Rows]) -> dict[str, int]:
    return {rows.name: rows.total for rows in several}
