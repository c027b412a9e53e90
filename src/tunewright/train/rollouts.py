"""Answers that the model draws while it trains, and what they are worth.

A draw answers the rows of one step several times each, and has the answers graded. It is kept in the run's folder
before anything is learned from it (`draws/`, a Parquet file each): a resumed run learns from the same answers and the
same rewards, even where a grader would not give them twice, and a person can read what was rewarded.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.base.files import atomic_file
from tunewright.base.seeds import derive
from tunewright.data.attempts import Attempt
from tunewright.data.tokens import TokenTable
from tunewright.forest.reference import without_noise
from tunewright.recipe.sampling import Sampling
from tunewright.train.ranks.group import ALONE, Ranks

if TYPE_CHECKING:
    import polars as pl

    from tunewright.generate.generation import Generation
    from tunewright.models.base import Base
    from tunewright.recipe import Recipe
    from tunewright.train.rows import Rows
    from tunewright.train.schedule import Order

FOLDER = "draws"  # in a run's folder
REWARD = "reward"


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to be graded.

    Args:
        id: The row's.
        text: What the model wrote.
        stopped: Whether it ended by itself; False where it was cut at the limit.
    """

    id: str
    text: str
    stopped: bool


@dataclass(frozen=True, slots=True)
class Reward:
    """What an answer is worth; where it could not be graded, why, and what it counts for then."""

    value: float
    problem: str = ""


# What the loop knows of graders: nothing but this.
Rewards = Callable[[Sequence[Answered]], Sequence[Reward]]


@dataclass(frozen=True)
class Draw:
    """What was drawn for the rows of a step.

    Args:
        attempts: Each row's answers, in the order of the rows.
        told: Figures that people watch, by name.
    """

    attempts: list[tuple[Attempt, ...]]
    told: dict[str, float]


class Rollouts:
    """The answers of a run.

    Args:
        base: Its tokenizer.
        model: Adopted, with its adapter; it trains meanwhile.
        recipe: The objective's settings, the seed, and how many answers are decoded side by side.
        rewards: Grades answers.
        folder: The run's.
        rows: What is learned from.
        order: Which rows each step learns from.
        listener: Hears a stage "draw", in answered prompts.
        ranks: The processes that train together: each draws its share, and the first one grades and writes.
    """

    def __init__(
        self,
        base: Base,
        model: Any,
        recipe: Recipe,
        rewards: Rewards,
        *,
        folder: Path,
        rows: Rows,
        order: Order,
        listener: events.Listener = events.ignore,
        ranks: Ranks = ALONE,
    ) -> None:
        self._base, self._model, self._recipe, self._rewards = base, model, recipe, rewards
        self._settings: Any = recipe.train.objective
        self._folder, self._rows, self._order, self._ranks = folder / FOLDER, rows, order, ranks
        self._listener = events.renamed(listener, {"generate": "draw"})
        self._last: tuple[int, Draw] | None = None

    def of_step(self, step: int) -> Draw:
        """What a step, counted from 0, learns from: taken up where it is kept, else drawn with the model as it is now.

        Raises:
            DataError: If not one of the answers could be graded, or what is kept is of other rows.
        """
        number, (ids, prompts) = self._order.draw_of(step), self._rows.asked(self._order.of_step(step))
        if self._last is None or self._last[0] != number:
            place = self._folder / f"{number:08d}.parquet"
            if not self._ranks.tell(place.exists()):
                self._make(number, ids, prompts, place)
            self._last = number, self._read(place, ids)
        return self._last[1]

    def validate(self, table: TokenTable) -> dict[str, float]:
        """The mean reward of answers to held-out rows, drawn with the same random numbers each time."""
        rows = range(len(table))
        prompts, ids = [table.row(row).prompt.tolist() for row in rows], [table.ids[row] for row in rows]
        seed = derive(self._recipe.seed, "validation draws")
        drawn = self._draw_each(prompts, range(len(prompts)), self._settings.validation_answers, seed)
        graded = self._rewards([self._answered(id, one) for id, each in zip(ids, drawn, strict=True) for one in each])
        return {REWARD: statistics.fmean(each.value for each in graded)}

    def _make(self, number: int, ids: Sequence[str], prompts: Sequence[Sequence[int]], place: Path) -> None:
        """Draws and grades, and writes a row for each answer."""
        ranks, seed = self._ranks, derive(self._recipe.seed, "draw", number)
        own = range(ranks.rank, len(prompts), ranks.world)
        drawn = self._draw_each(prompts, own, self._settings.answers, seed)
        dealt = ranks.gather(dict(zip(own, drawn, strict=True)))
        if ranks.is_first:
            found = {row: each for share in dealt for row, each in share.items()}
            self._write(place, [(ids[row], one) for row in range(len(prompts)) for one in found[row]])
        ranks.after_first(lambda: None)

    def _draw_each(
        self, prompts: Sequence[Sequence[int]], own: Sequence[int], answers: int, seed: int
    ) -> list[list[Generation]]:
        """So many answers to each of one's own prompts; to a prompt that stands there again, other ones."""
        self._listener(events.Stage("draw", "started", 0, len(own), "questions"))
        turns = _turns(prompts)
        found: dict[int, list[Generation]] = {}
        for turn in sorted({turns[row] for row in own}):
            rows = [row for row in own if turns[row] == turn]
            drawn = self._draw([prompts[row] for row in rows], answers, derive(seed, turn))
            found |= dict(zip(rows, drawn, strict=True))
        self._listener(events.Stage("draw", "finished", len(own), len(own), "questions"))
        return [found[row] for row in own]

    def _draw(self, prompts: Sequence[Sequence[int]], answers: int, seed: int) -> list[list[Generation]]:
        """So many answers to each prompt, without dropout; what is drawn follows from seed and prompt."""
        from tunewright.generate import generate

        with without_noise(self._model) as model:
            found = generate(
                model,
                prompts,
                max_new_tokens=self._settings.max_new_tokens,
                stop_ids=self._base.chat.stop_ids,
                batch_size=self._recipe.evaluate.batch_size,
                # As the model has it: only then are the probabilities that are learned those that were drawn by.
                sampling=Sampling(temperature=1.0, seed=seed),
                samples=answers,
                listener=self._listener,
            )
        return [[each, *each.further] for each in found]

    def _answered(self, id: str, one: Generation) -> Answered:
        return Answered(id, self._base.chat.decode(one.tokens), one.stopped)

    def _write(self, place: Path, drawn: Sequence[tuple[str, Generation]]) -> None:
        import polars as pl

        answered = [self._answered(id, one) for id, one in drawn]
        graded = self._rewards(answered)
        if problems := [each.problem for each in graded if each.problem]:
            if len(problems) == len(graded):
                raise DataError(
                    f"None of {len(graded)} answers could be graded: {problems[0]}",
                    where="train.objective.grader",
                    hint="Try the grader on an answer of your own first.",
                )
            self._listener(_ungraded(problems, len(graded)))
        table = pl.DataFrame(
            {
                "id": [each.id for each in answered],
                "answer": [each.text for each in answered],
                "reward": [each.value for each in graded],
                "problem": [each.problem for each in graded],
                "stopped": [each.stopped for each in answered],
                "tokens": [_with_end(one) for _, one in drawn],
                "logp": [one.logprobs for _, one in drawn],
            },
            schema_overrides={"reward": pl.Float64, "tokens": pl.List(pl.Int32), "logp": pl.List(pl.Float32)},
        )
        with atomic_file(place) as file:
            table.write_parquet(file)

    def _read(self, place: Path, ids: Sequence[str]) -> Draw:
        import polars as pl

        table, each = pl.read_parquet(place), self._settings.answers
        if table["id"].to_list() != [id for id in ids for _ in range(each)]:
            raise DataError("These answers were drawn for other rows", where=str(place), hint="Start a new run.")
        attempts = [
            Attempt(np.array(tokens, dtype=np.int32), np.array(logp, dtype=np.float32), reward)
            for tokens, logp, reward in table.select("tokens", "logp", "reward").iter_rows()
        ]
        groups = [tuple(attempts[start : start + each]) for start in range(0, len(attempts), each)]
        return Draw(groups, _figures(table, groups))


def _turns(prompts: Sequence[Sequence[int]]) -> list[int]:
    """For each prompt how many equal ones stand before it."""
    seen: Counter[tuple[int, ...]] = Counter()
    turns = []
    for prompt in map(tuple, prompts):
        turns.append(seen[prompt])
        seen[prompt] += 1
    return turns


def _with_end(one: Generation) -> list[int]:
    """An answer's tokens, with the one that ended it."""
    return one.tokens if one.ended_by is None else [*one.tokens, one.ended_by]


def _figures(table: pl.DataFrame, groups: Sequence[Sequence[Attempt]]) -> dict[str, float]:
    """Mean reward; tokens of an answer; the share that ended by itself; the share of prompts whose answers differ in
    reward, the others teach nothing; nats a token, an estimate of the entropy; the share that could not be graded."""
    logp = np.concatenate([attempt.logp for group in groups for attempt in group])
    told = {
        REWARD: float(np.mean(table["reward"].to_numpy())),
        "answer_tokens": len(logp) / len(table),
        "stopped": float(np.mean(table["stopped"].to_numpy())),
        "telling": statistics.fmean(len({attempt.reward for attempt in group}) > 1 for group in groups),
        "entropy": -float(logp.mean()),
    }
    ungraded = float(np.mean((table["problem"] != "").to_numpy()))
    return told | ({"ungraded": ungraded} if ungraded else {})


def _ungraded(problems: Sequence[str], of: int) -> events.Message:
    return events.Message(
        f"{len(problems)} of {of} answers could not be graded, and earn nothing: {problems[0]}", "warning"
    )
