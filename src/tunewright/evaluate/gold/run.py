"""Cases run against a model: all of them answered in one batch, and each held to what was wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tunewright.base.events import Listener, ignore
from tunewright.evaluate.gold.cases import Case, Placed
from tunewright.evaluate.gold.checks import Miss, misses, shorten
from tunewright.evaluate.judging import grading
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.judging.settings import Bench, JudgeSettings, opened
from tunewright.evaluate.judging.verdicts import NotJudged, Verdict
from tunewright.evaluate.judging.wording import Case as JudgedCase

_JUDGED = "judged"
Status = Literal["passed", "failed", "expected_failure", "unexpected_pass"]


class Model(Protocol):
    """Answers cases."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def draws(self) -> bool:
        """Whether it draws its answers, so that asking again may give another one."""
        ...

    def answer(self, cases: Sequence[Case], attempt: int) -> list[str]:
        """The answers, in one batch; of another attempt, others may be drawn."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    Args:
        placed: The case.
        answer: The model's last answer.
        misses: What it misses; empty: nothing.
        attempts: How often the model was asked; a case that passes at the second or later is a flake.
        rival: The release that it was held against, and its answer; None where there was none.
        forgiven: What it misses as the other release does.
    """

    placed: Placed
    answer: str
    misses: tuple[Miss, ...]
    attempts: int = 1
    rival: tuple[str, str] | None = None
    forgiven: tuple[Miss, ...] = ()

    @property
    def status(self) -> Status:
        """How it ended, a failure that the case announces aside."""
        if self.placed.case.xfail:
            return "expected_failure" if self.misses else "unexpected_pass"
        return "failed" if self.misses else "passed"

    @property
    def flaky(self) -> bool:
        """Whether it passed, and not at the first try."""
        return self.attempts > 1 and not self.misses

    @property
    def ok(self) -> bool:
        """Whether the tests may count as passed as far as this case goes."""
        return self.status in ("passed", "expected_failure")

    def explain(self) -> str:
        """What was asked, what came, and what was wanted, a few lines."""
        case = self.placed.case
        lines = [f"asked:   {shorten(case.asked)}", f"came:    {shorten(self.answer)}"]
        lines += [f"wanted:  {miss.wanted}" + (f" ({miss.why})" if miss.why else "") for miss in self.misses]
        if self.rival:
            lines.append(f"{self.rival[0]} answered: {shorten(self.rival[1])}")
        if self.attempts > 1:
            lines.append(f"asked {self.attempts} times; this is the last answer")
        if case.note:
            lines.append(f"note:    {case.note}")
        return "\n".join([*lines, f"case:    {self.placed.where}"])

    def as_json(self) -> dict[str, Any]:
        """The outcome as `--json` prints it."""
        case = self.placed.case
        return {
            "id": self.placed.id,
            "where": self.placed.where,
            "status": self.status,
            "flaky": self.flaky,
            "attempts": self.attempts,
            "asked": case.asked,
            "answer": self.answer,
            "misses": [{"wanted": miss.wanted, "why": miss.why} for miss in self.misses],
            "forgiven": [{"wanted": miss.wanted, "why": miss.why} for miss in self.forgiven],
            "rival": None if self.rival is None else {"release": self.rival[0], "answer": self.rival[1]},
            "tags": list(case.tags),
            "note": case.note,
            "xfail": case.xfail,
        }


@dataclass(frozen=True)
class GoldRun:
    """What cases are run with.

    Args:
        model: The model under test.
        cache: Where models and verdicts lie.
        judge: Who judges, where cases ask for that; None: nobody.
        rival_of: Opens a release that cases name under `not_worse_than`; None where there is no champion yet.
        open_judge: Opens a release as a judge.
        retries: Tries more for every case, beside its own.
        seed: For the judge.
        listener: Hears of progress.
    """

    model: Model
    cache: Path
    judge: JudgeSettings | None = None
    rival_of: Callable[[str], Model | None] = lambda name: None
    open_judge: Callable[[str], Any] | None = None
    retries: int = 0
    seed: int = 17
    listener: Listener = field(default=ignore)


def run_cases(placed: Sequence[Placed], run: GoldRun) -> list[Outcome]:
    """Runs cases, in their order.

    A case with `not_worse_than` is held to its other assertions; what it misses is forgiven where the other release
    does no better.

    Raises:
        InputError: If a case asks for a judge and nobody judges.
        EndpointError: If the judge gives no verdicts.
    """
    rivals = _rivals(placed, run)
    outcomes = dict(zip((each.id for each in placed), _attempt(placed, run, rivals, 0), strict=True))
    for attempt in range(1, 1 + max((_retries(each, run) for each in placed), default=0)):
        again = [each for each in placed if outcomes[each.id].misses and _retries(each, run) >= attempt]
        if not again:
            break
        for outcome in _attempt(again, run, rivals, attempt):
            outcomes[outcome.placed.id] = outcome
    return [outcomes[each.id] for each in placed]


def _retries(placed: Placed, run: GoldRun) -> int:
    """How often a case is asked again; a greedy model would only say the same."""
    return max(placed.case.retries, run.retries) if run.model.draws else 0


@dataclass(frozen=True, slots=True)
class _Rival:
    """Another release's answer, what it misses, and its scores by rubric."""

    name: str
    answer: str
    misses: frozenset[str]
    scores: Mapping[str, float]


def _rivals(placed: Sequence[Placed], run: GoldRun) -> dict[str, _Rival]:
    """What the releases that cases name have to say to them."""
    found: dict[str, _Rival] = {}
    for name in dict.fromkeys(each.case.wanted.rival for each in placed if each.case.wanted.rival):
        model = run.rival_of(name)
        if model is None:
            continue
        theirs = [each for each in placed if each.case.wanted.rival == name]
        answers = model.answer([each.case for each in theirs], 0)
        scores = _scores(theirs, answers, run)
        for each, answer in zip(theirs, answers, strict=True):
            missed = frozenset(miss.key for miss in misses(each.case.wanted, answer))
            judged = scores.get(each.id)
            points = {_JUDGED: judged.value} if isinstance(judged, Verdict) else {}
            found[each.id] = _Rival(model.name, answer, missed, points)
    return found


def _attempt(placed: Sequence[Placed], run: GoldRun, rivals: Mapping[str, _Rival], attempt: int) -> list[Outcome]:
    answers = run.model.answer([each.case for each in placed], attempt)
    scores = _scores(placed, answers, run)
    outcomes = []
    for each, answer in zip(placed, answers, strict=True):
        missed = misses(each.case.wanted, answer)
        score = scores.get(each.id)
        if score is not None and (miss := _too_low(each.case, score)) is not None:
            missed.append(miss)
        rival = rivals.get(each.id)
        forgiven = [miss for miss in missed if rival is not None and _no_better(rival, miss, score)]
        outcomes.append(
            Outcome(
                each,
                answer,
                tuple(miss for miss in missed if miss not in forgiven),
                attempt + 1,
                None if rival is None else (rival.name, rival.answer),
                tuple(forgiven),
            )
        )
    return outcomes


def _no_better(rival: _Rival, miss: Miss, score: Verdict | NotJudged | None) -> bool:
    """Whether the other release misses the same, or was judged no better."""
    if miss.key != _JUDGED:
        return miss.key in rival.misses
    return isinstance(score, Verdict) and _JUDGED in rival.scores and score.value >= rival.scores[_JUDGED]


def _too_low(case: Case, score: Verdict | NotJudged) -> Miss | None:
    wanted = case.wanted.judged
    assert wanted is not None
    said = f"judged on {wanted.rubric.name}: {wanted.at_least:g} or more"
    if isinstance(score, NotJudged):
        return Miss(said, f"the judge gave no verdict: {score.reason}", "not_judged")
    if score.value >= wanted.at_least:
        return None
    return Miss(said, f"it got {score.value:g}. {score.reason}".strip(), _JUDGED)


def _scores(placed: Sequence[Placed], answers: Sequence[str], run: GoldRun) -> dict[str, Verdict | NotJudged]:
    """What the judge says of the answers to the cases that ask it, by case; each rubric's cases together."""
    asked: dict[str, Rubric] = {}
    by_rubric: dict[str, list[JudgedCase]] = {}
    for each, answer in zip(placed, answers, strict=True):
        if (judged := each.case.wanted.judged) is not None:
            key = judged.rubric.model_dump_json()
            asked[key] = judged.rubric
            by_rubric.setdefault(key, []).append(JudgedCase(each.id, each.case.whole, {_JUDGED: answer}))
    if not asked:
        return {}
    settings = run.judge or JudgeSettings()
    bench = Bench({}, (), run.seed, 1, run.cache, run.open_judge, run.listener)
    found: dict[str, Verdict | NotJudged] = {}
    with opened(settings, bench, where="a case with `judged`") as judge:
        for key, rubric in asked.items():
            graded = grading.grade(judge, rubric, by_rubric[key], _JUDGED, settings, bench)
            found |= {case.id: said for case, said in zip(graded.cases, graded.verdicts, strict=True)}
    return found
