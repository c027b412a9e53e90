"""Gold tests of a release: it answers as it is served, in one batch, beside the release before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, ignore
from tunewright.base.quiet import quiet
from tunewright.base.seeds import derive
from tunewright.lifecycle.judging import open_judge
from tunewright.lifecycle.talk import Specialist, load_release, request
from tunewright.models.class_format import ClassFormat
from tunewright.recipe.sampling import Sampling
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.evaluate.gold.cases import Case, Placed
    from tunewright.evaluate.gold.run import Outcome
    from tunewright.evaluate.judging.settings import JudgeSettings
    from tunewright.models.chat import Turn


@dataclass(frozen=True)
class ReleaseUnderTest:
    """A release that answers gold tests.

    Args:
        specialist: The release in memory.
        sampling: How it draws its answers; greedy: it does not, as `chat` has it answer.
        listener: Hears how far it is.
    """

    specialist: Specialist
    sampling: Sampling
    listener: Listener = ignore

    @property
    def name(self) -> str:
        """Its name and version."""
        return self.specialist.release.label

    @property
    def draws(self) -> bool:
        """Whether it draws its answers."""
        return not self.sampling.greedy and not isinstance(self.specialist.chat, ClassFormat)

    def answer(self, cases: Sequence[Case], attempt: int) -> list[str]:
        """The answers, in one batch.

        Raises:
            InputError: If the release cannot be asked so.
        """
        from tunewright.evaluate import predict_classes
        from tunewright.evaluate.answer import evaluation_mode
        from tunewright.generate import generate

        if not cases:
            return []
        known = self.specialist
        asked = [self._turns(case) for case in cases]
        if isinstance(known.chat, ClassFormat):
            limit = known.base.files.context_length
            with quiet():
                return [found.text for found in predict_classes(known.model, known.chat, asked, limit=limit)]
        tools = known.release.template.get("tools") or ()
        with quiet(), evaluation_mode(known.model):
            given = generate(
                known.model,
                [known.chat.prompt(turns, tools) for turns in asked],
                max_new_tokens=int(known.release.template["max_new_tokens"]),
                stop_ids=known.chat.stop_ids,
                sampling=self._sampling(attempt),
                listener=self.listener,
            )
        return [known.chat.decode(each.tokens) for each in given]

    def _sampling(self, attempt: int) -> Sampling:
        """Each attempt has a seed of its own, and the same one in every run."""
        seed = self.specialist.recipe.seed if self.sampling.seed is None else self.sampling.seed
        return self.sampling.model_copy(update={"seed": derive(seed, f"gold {attempt}") % 2**31})

    def _turns(self, case: Case) -> list[Turn]:
        """What the release reads: a message as it is served, a conversation as it stands."""
        from tunewright.models.chat import Turn

        template = self.specialist.release.template
        if template.get("documents"):
            raise InputError("This release goes on with documents, and answers no gold tests", where=self.name)
        if case.messages:
            return [Turn(turn.role, turn.content) for turn in case.messages]
        message = case.input if isinstance(case.input, str) else json.dumps(case.input, ensure_ascii=False)
        return request(template, self.specialist.recipe, message)


@dataclass(frozen=True)
class GoldTests:
    """A model under test, loaded once, and what its cases may need.

    Args:
        run: Runs cases, in one batch.
        model: What it is called.
        draws: Whether it draws its answers, so that retries mean something.
    """

    run: Callable[[Sequence[Placed]], list[Outcome]]
    model: str
    draws: bool


def open_gold(
    model: str,
    *,
    judge: JudgeSettings | None = None,
    retries: int = 0,
    temperature: float | None = None,
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
) -> GoldTests:
    """Loads a release for its gold tests.

    Args:
        model: The release: `name`, or `name@2`.
        judge: Who judges, where cases ask for that.
        retries: Tries more for every case that fails; only of a model that draws its answers.
        temperature: At which answers are drawn, 0 for greedy ones; None: as the release's recipe has it.
        workspace: Where releases are, as `Workspace.open` takes it.
        listener: Hears of progress.

    Raises:
        UnknownNameError: If there is no such release.
    """
    from tunewright.evaluate.gold.run import GoldRun, run_cases

    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    specialist = load_release(model, workspace=place, listener=listener)
    drawn: Sampling = specialist.recipe.evaluate.sampling
    if temperature is not None:
        drawn = Sampling(temperature=temperature) if temperature == 0 else _at(drawn, temperature)
    under_test = ReleaseUnderTest(specialist, drawn, listener)
    run = GoldRun(
        under_test,
        place.cache,
        judge,
        partial(_rival, place, under_test),
        partial(open_judge, workspace=place),
        retries,
        listener=listener,
    )
    return GoldTests(lambda cases: run_cases(cases, run), under_test.name, under_test.draws)


def _at(sampling: Sampling, temperature: float) -> Sampling:
    try:
        return Sampling.model_validate(sampling.model_dump() | {"temperature": temperature})
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, "), where="temperature") from None


def _rival(workspace: Workspace, under_test: ReleaseUnderTest, name: str) -> ReleaseUnderTest | None:
    """The release that a case names; `champion` is the newest one before the release under test, if there is one."""
    from tunewright.evaluate.gold.cases import CHAMPION

    release, sampling = under_test.specialist.release, under_test.sampling
    if name != CHAMPION:
        return ReleaseUnderTest(load_release(name, workspace=workspace), sampling)
    earlier = [each for each in workspace.releases(release.name) if each.version < release.version]
    if not earlier:
        return None
    champion = max(earlier, key=lambda each: each.version)
    return ReleaseUnderTest(load_release(champion.label, workspace=workspace), sampling)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How many cases ended how, and which of them were flakes."""
    counts: dict[str, int] = {"passed": 0, "failed": 0, "expected_failure": 0, "unexpected_pass": 0}
    for outcome in outcomes:
        counts[outcome.status] += 1
    return {"cases": len(outcomes), **counts, "flaky": [each.placed.id for each in outcomes if each.flaky]}
