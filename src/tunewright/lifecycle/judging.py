"""Judging answers that are stored already, and releases as judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tunewright.base.errors import InputError, UnknownNameError, WorkspaceError
from tunewright.base.events import Listener, ignore
from tunewright.base.quiet import quiet
from tunewright.lifecycle.answering import BASE
from tunewright.lifecycle.talk import load_release
from tunewright.models.class_format import ClassFormat
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.data.example import Example
    from tunewright.evaluate import Answers, Finding
    from tunewright.evaluate.judging.judge import LocalJudge
    from tunewright.evaluate.judging.settings import JudgeSettings
    from tunewright.evaluate.probes.judge import Config as JudgeConfig
    from tunewright.evaluate.probes.principles import Config as PrinciplesConfig

_FILE = "answers.parquet"
_SEED = 17
_SAMPLES = 2000


@dataclass(frozen=True)
class StoredAnswers:
    """Answers that were given earlier.

    Args:
        label: What they were found by.
        answers: By system.
        examples: The rows that were answered; empty where they are not known.
    """

    label: str
    answers: dict[str, Answers]
    examples: list[Example]


def find_answers(target: str, workspace: Workspace) -> StoredAnswers:
    """The answers behind a word.

    It names a folder of stored answers, a file of outputs (JSONL, CSV, …), a release, a run, or an answers artifact.

    Raises:
        InputError: If there are none.
    """
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import load_answers

    place = Path(target).expanduser()
    if place.is_dir() or place.name == _FILE:
        return StoredAnswers(target, load_answers(place.parent if place.name == _FILE else place), [])
    if place.exists():
        return StoredAnswers(target, _of_outputs(place), [])
    stages = _stages(target, workspace)
    if stages is None:
        return StoredAnswers(target, load_answers(workspace.artifact(target, "answers").path), [])
    if "evaluate" not in stages:
        raise WorkspaceError("It was never evaluated", where=target, hint=f"Run: tunewright eval {target}.")
    dataset = Dataset.open(workspace.artifact(stages["prepare"]["dataset"], "dataset"))
    examples = [] if dataset.answer_kind == "document" else dataset.examples("test")
    answers = load_answers(workspace.artifact(stages["evaluate"]["answers"], "answers").path)
    return StoredAnswers(target, answers, examples)


def _of_outputs(path: Path) -> dict[str, Answers]:
    """What any system produced, by system; a file that names none has one, `answers`."""
    from tunewright.evaluate import Answers
    from tunewright.evaluate.outputs import open_outputs

    outputs = open_outputs(path, {})
    return {
        system or "answers": Answers(
            system or "answers", tuple(answer for piece in outputs.pieces(system) for answer in piece), seconds=0.0
        )
        for system in outputs.systems()
    }


def _stages(target: str, workspace: Workspace) -> dict[str, Any] | None:
    """The finished stages of a release's run, or of a run; None where nothing is called so."""
    try:
        run = workspace.find_release(target).run if workspace.releases() else target
    except UnknownNameError:
        run = target
    try:
        stages: dict[str, Any] = workspace.find_run(run).manifest.get("stages", {})
    except WorkspaceError:
        return None
    return stages


def asked_for(
    rubrics: Sequence[str],
    principles: Sequence[str],
    *,
    pairwise: bool,
    against: str,
    people: str,
    endpoint: Mapping[str, Any],
    patience: Mapping[str, Any],
    judge: Mapping[str, Any],
) -> list[JudgeConfig | PrinciplesConfig]:
    """The settings of judging that a command asks for.

    Args:
        rubrics: Names of built-in ones, or YAML files.
        principles: What answers are held against.
        pairwise: Whether systems are compared side by side.
        against: The other system.
        people: A file of people's ratings; empty: none.
        endpoint: `url`, `model`, `key_variable`; no url and no model: no endpoint.
        patience: `timeout_s`, `attempts` of the endpoint.
        judge: Further fields of `JudgeSettings`.

    Raises:
        InputError: If nothing is asked for, or something is wrong.
    """
    from tunewright.endpoints import Endpoint
    from tunewright.evaluate.judging.rubrics import rubric_at
    from tunewright.evaluate.probes.judge import Config as JudgeConfig
    from tunewright.evaluate.probes.principles import Config as PrinciplesConfig

    who: dict[str, Any] = {**judge, "people": people or None}
    if endpoint["url"] or endpoint["model"]:
        who["endpoint"] = Endpoint.of(**endpoint, **patience)
    found: list[JudgeConfig | PrinciplesConfig] = []
    try:
        if rubrics or pairwise:
            looked_at = tuple(rubric_at(name) for name in rubrics)
            settings = {"rubrics": looked_at, "pairwise": pairwise, "against": against or BASE}
            found.append(JudgeConfig.model_validate({**who, **settings}))
        if principles:
            found.append(PrinciplesConfig.model_validate({**who, "principles": tuple(principles)}))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"].removeprefix("Value error, "), where=".".join(map(str, first["loc"]))) from None
    if not found:
        raise InputError("Nothing says what to judge by", hint="Add --rubric, --principle or --pairwise.")
    return found


def judge_settings(
    *, endpoint: Mapping[str, Any], patience: Mapping[str, Any] | None = None, local: str = ""
) -> JudgeSettings | None:
    """Who judges gold tests; None where nobody is named.

    Raises:
        InputError: If the endpoint is wrong, or two judges are named.
    """
    from tunewright.endpoints import Endpoint
    from tunewright.evaluate.judging.settings import JudgeSettings

    named = bool(endpoint["url"] or endpoint["model"])
    if not named and not local:
        return None
    if named and local:
        raise InputError("An endpoint and a model here are both named as the judge", hint="Keep one of them.")
    of = Endpoint.of(**endpoint, **(patience or {})) if named else None
    return JudgeSettings(endpoint=of, local=local)


def judge_answers(
    target: str,
    config: JudgeConfig | PrinciplesConfig,
    *,
    system: str = "",
    against: str = "",
    seed: int = _SEED,
    workspace: Workspace,
    listener: Listener = ignore,
) -> list[Finding]:
    """Lets a judge look at stored answers.

    Args:
        target: As `find_answers` takes it.
        config: Rubrics, pairs or principles, and who judges.
        system: Whose answers are judged; empty: the tuned model's, or the only ones there are.
        against: Whose answers they are held against; empty: nobody's.
        seed: Decides which rows are judged, and the intervals.
        workspace: Where answers, releases and verdicts are.
        listener: Hears of progress.

    Raises:
        InputError: If there is nothing to judge, or nobody to judge it.
        EndpointError: If the judge gives too few verdicts.
    """
    from tunewright.evaluate.judging import rounds
    from tunewright.evaluate.judging.settings import Bench
    from tunewright.evaluate.probes.principles import Config as Principles

    found = find_answers(target, workspace)
    bench = Bench(
        found.answers,
        found.examples,
        seed,
        _SAMPLES,
        workspace.cache,
        partial(open_judge, workspace=workspace),
        listener,
    )
    other = against or ("" if isinstance(config, Principles) or not config.pairwise else config.against)
    systems = [system or _only(found), *([other] if other else [])]
    look: Callable[..., list[Finding]] = rounds.hold_all if isinstance(config, Principles) else rounds.judge_all
    with quiet():
        return look(config, bench, systems, where=found.label)


def _only(found: StoredAnswers) -> str:
    names: Sequence[str] = list(found.answers)
    if "tuned" in names:
        return "tuned"
    if len(names) == 1:
        return names[0]
    raise InputError(
        "Several systems answered, and none of them is called 'tuned'",
        where=found.label,
        hint=f"Name one with --system: {', '.join(names)}.",
    )


def open_judge(label: str, *, workspace: Workspace) -> LocalJudge:
    """A release as a judge: its model, greedy, whatever it was trained for.

    Raises:
        InputError: If it names classes, and says nothing.
    """
    from tunewright.evaluate import LocalSpeaker
    from tunewright.evaluate.judging.judge import local_judge

    specialist = load_release(label, workspace=workspace)
    if isinstance(specialist.chat, ClassFormat):
        raise InputError("This release names classes and says nothing, so it cannot judge", where=label)
    speaker = LocalSpeaker(specialist.release.label, specialist.base, lambda: nullcontext(specialist.model))
    return local_judge(speaker, workspace.cache, adapter=specialist.release.adapter)
