"""Whole rounds of judging: all rubrics, pairs or principles that a recipe or a command asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunewright.base.errors import InputError
from tunewright.evaluate.judging.grading import grade, grade_finding
from tunewright.evaluate.judging.pairs import CRITERION, compare_pairs, pair_findings
from tunewright.evaluate.judging.people import Opinion, read_opinions
from tunewright.evaluate.judging.principles import hold, principles_finding
from tunewright.evaluate.judging.settings import Bench, JudgeSettings, cases_of, opened
from tunewright.evaluate.probing import Finding

if TYPE_CHECKING:
    from tunewright.evaluate.probes.judge import Config as JudgeConfig
    from tunewright.evaluate.probes.principles import Config as PrinciplesConfig


def judge_all(config: JudgeConfig, bench: Bench, systems: Sequence[str], *, where: str) -> list[Finding]:
    """Grades systems by each rubric, and compares the first two in pairs if that is asked for.

    Args:
        config: What is asked for.
        bench: The answers, and what judging works with.
        systems: The system that findings are about, and the one it is held against, if any.
        where: What errors name.

    Raises:
        InputError: If there is nothing to judge by, no judge, or nothing to compare with.
        EndpointError: If too many answers get no verdict.
    """
    if not config.rubrics and not config.pairwise:
        raise InputError("There is neither a rubric nor a pair to judge by", where=where)
    if config.pairwise and len(systems) < 2:
        raise InputError(
            f"'{config.against}' has no answers, so there are no pairs",
            where=f"{where}.pairwise",
            hint=f"There are answers of: {', '.join(bench.answers)}.",
        )
    opinions = check_settings(config, config.people)
    cases = cases_of(config, bench, systems, where=where)
    findings = []
    with opened(config, bench, where=where) as judge:
        for rubric in config.rubrics:
            graded = [grade(judge, rubric, cases, system, config, bench) for system in systems]
            findings.append(grade_finding(judge, graded, config, bench, opinions))
        if config.pairwise:
            pair = (systems[0], systems[1])
            compared = compare_pairs(judge, cases, pair, config, bench, config.criterion or CRITERION)
            findings += pair_findings(judge, compared, bench, opinions)
    return findings


def hold_all(config: PrinciplesConfig, bench: Bench, systems: Sequence[str], *, where: str) -> list[Finding]:
    """Holds systems' answers against each principle; arguments and errors as `judge_all` has them."""
    opinions = check_principles(config, where=where)
    cases = cases_of(config, bench, systems, where=where)
    with opened(config, bench, where=where) as judge:
        held = [hold(judge, config.principles, cases, system, config, bench) for system in systems]
        return [principles_finding(judge, held, bench, opinions)]


def check_principles(config: PrinciplesConfig, *, where: str) -> list[Opinion] | None:
    """What people said, where they were asked.

    Raises:
        InputError: If no principle is stated, or as `check_settings` does.
    """
    if not config.principles:
        raise InputError(
            "No principle is stated", where=f"{where}.principles", hint='As in: ["Never promises a refund."].'
        )
    return check_settings(config, config.people)


def check_settings(config: JudgeSettings, people: str | None) -> list[Opinion] | None:
    """What people said, where they were asked.

    Raises:
        InputError: If their ratings cannot be read, or the variable with the endpoint's key is not set.
    """
    if config.endpoint is not None:
        config.endpoint.key(os.environ)
    return _opinions(people)


def _opinions(people: str | None) -> list[Opinion] | None:
    return None if people is None else read_opinions(people)
