"""Probes: what they are given, what they find, and how they are run one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.base.plugins import PROBES, PluginConfig
from tunewright.data.example import Example
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.speaker import Speaker

if TYPE_CHECKING:
    from tunewright.evaluate.judging.judge import LocalJudge

TUNED, BASE = "tuned", "base"


@dataclass(frozen=True, slots=True)
class Finding:
    """One number about the tuned model that is no metric of its answers to the held-out rows.

    Args:
        name: What gates call it: `forgetting`, `bias`, `hallucination`; lower case, digits and underscores.
        title: What people call it, in a few words.
        value: The number.
        low: Lower end of its 95 % interval; None where it has none.
        high: The upper end.
        n: Cases that it stands on, at least one.
        better: Which way it gets better.
        base: The same number of the base, where it was measured too.
        meaning: In a sentence or two, what it says and what it does not.
        details: What else a page shows, JSON-ready: tables as lists of equal objects, under the heads they have.
    """

    name: str
    title: str
    value: float
    n: int
    better: Literal["lower", "higher"]
    low: float | None = None
    high: float | None = None
    base: float | None = None
    meaning: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as reports, manifests and `--json` carry it."""
        return {name: getattr(self, name) for name in self.__slots__} | {"details": dict(self.details)}


@dataclass(frozen=True)
class Asked:
    """Whom a probe may ask, and about what.

    Args:
        systems: Who can be asked, by name: `tuned`, and `base` where it can answer at all.
        answers: Each system's answers to the held-out rows; with systems that cannot be asked again among them.
        examples: The held-out rows, in the order of the answers.
        training: The rows that were learned from.
        answer_kind: What an answer is, as `evaluate` has it.
        goal: What the model is for.
        seed: The run's.
        samples: Bootstrap resamples.
        cache: Where downloads and replies lie.
        listener: Hears of progress.
        open_judge: Opens a release of the workspace as a judge; None where there is no workspace.
    """

    systems: Mapping[str, Speaker]
    answers: Mapping[str, Answers]
    examples: Sequence[Example]
    training: Sequence[Example]
    answer_kind: str
    goal: str
    seed: int
    samples: int
    cache: Path
    listener: events.Listener = events.ignore
    open_judge: Callable[[str], LocalJudge] | None = None


def check_probes(configs: Sequence[PluginConfig], cache: Path) -> None:
    """Lets the probes that have `check(config, cache)` refuse wrong settings before any work is done.

    Raises:
        InputError: If a file that one reads is missing or wrong, an encoder is not on this machine, a name is unknown.
    """
    for config in configs:
        if PROBES.has(config.plugin, "check"):
            PROBES.call(config.plugin, "check", config, cache)


def run_probes(configs: Sequence[PluginConfig], asked: Asked) -> list[Finding]:
    """What the probes find, in their order; tells of each as a stage "probe".

    Raises:
        InputError: If two findings share a name, or one stands on no case or is no finite number.
    """
    findings: dict[str, Finding] = {}
    for place, config in enumerate(configs):
        asked.listener(events.Stage("probe", "progress", place, len(configs), f"probes ({config.plugin})"))
        found: list[Finding] = PROBES.call(config.plugin, "probe", config, asked)
        for finding in found:
            if finding.name in findings:
                raise InputError(f"Two findings are called '{finding.name}'", where=f"evaluate.probes.{config.plugin}")
            if finding.n < 1:
                raise InputError(f"'{finding.name}' stands on no case", where=f"evaluate.probes.{config.plugin}")
            if not math.isfinite(finding.value):
                told = f"'{finding.name}' is no finite number ({finding.value})"
                raise InputError(told, where=f"evaluate.probes.{config.plugin}")
            findings[finding.name] = finding
    return list(findings.values())
