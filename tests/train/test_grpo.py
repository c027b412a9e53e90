"""GRPO through the one training loop: what is rewarded becomes more probable, and a resumed run is the same run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tests.objectives.making import plain_logps
from tests.tiny_t5 import tiny_t5_folder
from tests.train.made import interrupted_and_resumed, made_base, made_examples, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import DataError, RecipeError
from tunewright.base.files import hash_folder
from tunewright.data.example import Example, Message
from tunewright.data.tokens import tokenize
from tunewright.recipe import Recipe
from tunewright.train import train
from tunewright.train.rollouts import FOLDER, Answered, Reward, Rewards
from tunewright.train.rows import Rows
from tunewright.train.trained import kept_adapter

LENGTH = 6
SMALL: dict[str, Any] = {"name": "grpo", "answers": 4, "max_new_tokens": LENGTH, "beta": 0.0}


def lower(answered: Sequence[Answered]) -> list[Reward]:
    """The share of lower case letters among as many as there may be."""
    return [Reward(sum("a" <= letter <= "z" for letter in each.text) / LENGTH) for each in answered]


class Moody:
    """Never grades an answer the same way twice."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, answered: Sequence[Answered]) -> list[Reward]:
        self.calls += 1
        dice = random.Random(self.calls)
        return [Reward(each.value + dice.random()) for each in lower(answered)]


def recipe_of(method: Any = None, *, objective: dict[str, Any] | None = None, **settings: Any) -> Recipe:
    """One epoch are two steps of eight rows."""
    changed = {"epochs": 2, "learning_rate": 0.05, "node_budget": 2000, **settings}
    return made_recipe(method, objective=SMALL | (objective or {}), **changed)


def run(
    folder: Path, recipe: Recipe, rewards: Rewards | None = lower, *, root: Path | None = None, **options: Any
) -> tuple[Any, list[dict[str, float]]]:
    """What a run gives and what its steps told; the base lies in its folder, or in `root`."""
    root = root or folder
    base = made_base(root / "tiny")
    heard: list[events.Event] = []
    listener: Callable[[events.Event], None] = options.pop("listener", None) or heard.append
    tables = made_tables(base, root / "cache", rows=16)
    trained = train(base, tables, recipe, folder=folder / "run", rewards=rewards, listener=listener, **options)
    return trained, [each.values for each in heard if isinstance(each, events.Metrics) and "loss" in each.values]


def drawn(folder: Path, number: int = 0) -> pl.DataFrame:
    return pl.read_parquet(folder / "run" / FOLDER / f"{number:08d}.parquet")


def own_logps(model: Any, prompts: dict[str, list[int]], table: pl.DataFrame) -> list[float]:
    """The log-probabilities of all drawn tokens, each answer run alone through a stock model."""
    found: list[float] = []
    for row, tokens in table.select("id", "tokens").iter_rows():
        with torch.no_grad():
            logp = plain_logps(model, np.array([*prompts[row], *tokens], dtype=np.int32))
        found += logp[-len(tokens) :].tolist()
    return found


def prompts_of(folder: Path) -> tuple[Any, dict[str, list[int]]]:
    """A fresh base, and the prompts of the training rows by their ids, rendered once more."""
    base = made_base(folder / "tiny")
    rows = made_examples(16)
    return base, {row.id: base.chat.prompt(row.prompt) for row in rows}


def test_what_is_rewarded_becomes_more_probable(tmp_path: Path) -> None:
    trained, steps = run(tmp_path, recipe_of(objective={"answers": 8}, epochs=10))
    rewards, progress = [each["reward"] for each in steps], trained.progress
    assert rewards[0] < 0.2
    assert rewards[-1] > 0.9
    assert progress.rewards == [(step, reward) for step, reward in enumerate(rewards, 1)]
    # On rows that it has not seen, too, and these choose the weights: there is no loss to choose them by.
    scores = [(step, each["reward"]) for step, each in progress.scores]
    assert [step for step, _ in scores] == [5, 10, 15, 20]
    assert scores[-1][1] > 0.8
    assert progress.best_step == max(scores, key=lambda point: point[1])[0]
    assert (progress.validation, progress.best_loss) == ([], None)
    assert trained.diagnosis.verdict == "neither"


def test_the_weights_of_the_best_validation_reward_are_kept_and_patience_counts_from_there(tmp_path: Path) -> None:
    validated: list[float] = []

    def falling(answered: Sequence[Answered]) -> list[Reward]:
        """Held-out rows, numbered from 1000, are worth less from their third validation on."""
        if int(answered[0].id.removeprefix("row-")) < 1000:
            return lower(answered)
        validated.append(-float(len(validated) > 1))
        return [Reward(validated[-1])] * len(answered)

    recipe = recipe_of(epochs=9, validate_every=2, keep_epochs=9, patience=2)
    trained, _ = run(tmp_path, recipe, falling)
    assert validated == [0, 0, -1]
    assert (trained.progress.best_step, trained.progress.step, trained.stopped_early) == (2, 6, True)
    weights = "adapter_model.safetensors"
    best, second, last = (
        (folder / weights).read_bytes()
        for folder in (trained.adapter, kept_adapter(tmp_path / "run", 2), kept_adapter(tmp_path / "run", 6))
    )
    assert best == second != last


@pytest.mark.parametrize("passes", [1, 2])
def test_a_run_that_is_cut_off_learns_from_the_same_rewards_though_no_grader_gives_them_twice(
    tmp_path: Path, passes: int
) -> None:
    recipe = recipe_of({"name": "lora", "rank": 4, "dropout": 0.2}, objective={"passes": passes}, validate_every=99)
    whole, _ = run(tmp_path, recipe, Moody())
    # A power cut at the third step: there is no checkpoint, and draws of all steps so far.
    moody = Moody()

    def cut(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 3:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        run(tmp_path / "cut", recipe, moody, root=tmp_path, listener=cut)
    assert moody.calls == (3 if passes == 1 else 2)
    resumed, _ = run(tmp_path / "cut", recipe, moody, root=tmp_path, resume=True)
    assert resumed.progress == whole.progress
    assert hash_folder(resumed.adapter) == hash_folder(whole.adapter)


@pytest.mark.parametrize("passes", [1, 2])  # with two, the third step is the first of two that learn from one draw
def test_interrupted_and_resumed_gives_the_same_bytes(tmp_path: Path, passes: int) -> None:
    recipe = recipe_of(
        {"name": "lora", "rank": 4, "dropout": 0.2}, objective={"passes": passes, "beta": 0.1}, validate_every=99
    )
    whole, _ = run(tmp_path, recipe, Moody())
    moody = Moody()

    def work(folder: Path, **options: Any) -> Any:
        return run(folder, recipe, moody, root=tmp_path, **options)[0]

    resumed = interrupted_and_resumed(work, tmp_path / "parts", step=3)
    assert resumed.progress == whole.progress
    assert hash_folder(resumed.adapter) == hash_folder(whole.adapter)
    assert moody.calls == 4 + 1  # draws, and the validation at the end


def test_draws_are_kept_with_what_they_were_worth(tmp_path: Path) -> None:
    _, steps = run(tmp_path, recipe_of(epochs=1))
    table = drawn(tmp_path)
    assert table.columns == ["id", "answer", "reward", "problem", "stopped", "tokens", "logp"]
    assert len(table) == 8 * 4
    assert table["id"].to_list() == [row for row in table["id"].unique(maintain_order=True) for _ in range(4)]
    base, prompts = prompts_of(tmp_path)
    for answer, reward, tokens in table.select("answer", "reward", "tokens").iter_rows():
        assert answer == base.chat.decode(tokens)
        assert reward == sum("a" <= letter <= "z" for letter in answer) / LENGTH
    assert table["logp"].list.len().to_list() == table["tokens"].list.len().to_list()
    assert steps[0]["reward"] == pytest.approx(table["reward"].mean())
    assert steps[0]["stopped"] == pytest.approx(table["stopped"].mean())
    assert steps[0]["answer_tokens"] == pytest.approx(table["tokens"].list.len().mean())
    apart = table.group_by("id").agg(pl.col("reward").n_unique() > 1)["reward"]
    assert steps[0]["telling"] == pytest.approx(apart.mean())
    logp = [each for row in table["logp"].to_list() for each in row]
    assert steps[0]["entropy"] == pytest.approx(-sum(logp) / len(logp), rel=1e-6)
    assert logp == pytest.approx(own_logps(base.model, prompts, table), abs=1e-4)


def test_the_end_of_an_answer_is_drawn_with_it_and_is_no_part_of_its_text(tmp_path: Path) -> None:
    _, steps = run(tmp_path, recipe_of(objective={"answers": 16, "max_new_tokens": 24}, epochs=0.5))
    base, table = made_base(tmp_path / "tiny"), drawn(tmp_path)
    assert 0 < table["stopped"].sum() < 10  # of 128: the model has not learned to end
    assert steps[0]["stopped"] == pytest.approx(table["stopped"].sum() / 128)
    for answer, stopped, tokens in table.select("answer", "stopped", "tokens").iter_rows():
        *said, end = tokens
        assert (end in base.chat.stop_ids) == stopped
        assert not base.chat.stop_ids.intersection(said)
        assert stopped or len(tokens) == 24
        assert answer == base.chat.decode(said if stopped else tokens)


def test_a_row_is_answered_anew_in_each_epoch(tmp_path: Path) -> None:
    run(tmp_path, recipe_of(batch_size=16, learning_rate=1e-9))
    first, second = (drawn(tmp_path, number).sort("id", maintain_order=True) for number in (0, 1))
    assert first["id"].to_list() == second["id"].to_list()
    assert sum(one == other for one, other in zip(first["answer"], second["answer"], strict=True)) == 0
    assert first["answer"].n_unique() > 60  # of 64: siblings are drawn apart, too


def test_the_model_as_it_is_now_draws_and_without_dropout(tmp_path: Path) -> None:
    recipe = recipe_of({"name": "lora", "rank": 4, "dropout": 0.5}, batch_size=16, keep_epochs=2)
    run(tmp_path, recipe)
    from peft import PeftModel

    base, prompts = prompts_of(tmp_path)
    table = drawn(tmp_path, 1)
    found = [each for row in table["logp"].to_list() for each in row]
    before = own_logps(base.model, prompts, table)
    after = own_logps(PeftModel.from_pretrained(base.model, kept_adapter(tmp_path / "run", 1)).eval(), prompts, table)
    assert found == pytest.approx(after, abs=1e-4)
    assert found != pytest.approx(before, abs=0.1)


def test_at_the_first_step_nothing_has_changed_since_the_draw(tmp_path: Path) -> None:
    _, steps = run(tmp_path, recipe_of(epochs=1))
    assert steps[0]["loss"] == pytest.approx(0, abs=1e-6)  # advantages are distances from a mean
    assert steps[0]["clipped"] == 0
    assert steps[0]["gradient_norm"] > 0.1
    assert "kl" not in steps[0]


def test_two_passes_learn_twice_from_each_draw(tmp_path: Path) -> None:
    trained, steps = run(tmp_path, recipe_of(objective={"passes": 2}, epochs=1, learning_rate=0.01))
    rewards = [each["reward"] for each in steps]
    assert len(list((tmp_path / "run" / FOLDER).iterdir())) == 2
    assert (rewards[0], rewards[2]) == (rewards[1], rewards[3])
    kept = [pl.read_parquet(place)["answer"].to_list() for place in sorted((tmp_path / "run" / FOLDER).iterdir())]
    assert kept[0] != kept[1]
    # What was learned the first time shows the second time, and some of it is enough.
    assert steps[0]["loss"] == pytest.approx(0, abs=1e-6)
    assert steps[1]["loss"] < -0.01
    assert (steps[0]["clipped"], steps[2]["clipped"]) == (0, 0)
    assert steps[1]["clipped"] > 0
    assert trained.steps == 4


def test_answers_that_cannot_be_graded_are_told_and_count_as_they_are_said_to(tmp_path: Path) -> None:
    heard: list[events.Event] = []

    def some(answered: Sequence[Answered]) -> list[Reward]:
        return [Reward(-7.0, "broken") if place < 3 else Reward(1.0) for place in range(len(answered))]

    run(tmp_path, recipe_of(epochs=0.5), some, listener=heard.append)
    told = [each.text for each in heard if isinstance(each, events.Message) and each.level == "warning"]
    assert "3 of 32 answers could not be graded, and earn nothing: broken" in told
    (step,) = [each.values for each in heard if isinstance(each, events.Metrics) and "loss" in each.values]
    assert step["ungraded"] == pytest.approx(3 / 32)
    assert step["reward"] == pytest.approx((29 - 3 * 7) / 32)
    assert drawn(tmp_path)["problem"].to_list() == ["broken"] * 3 + [""] * 29


def test_where_no_answer_can_be_graded_nothing_is_learned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="None of 32 answers could be graded: broken"):
        run(tmp_path, recipe_of(), lambda answered: [Reward(0.0, "broken")] * len(answered))
    assert not list((tmp_path / "run").glob(f"{FOLDER}/*"))


def test_what_says_what_answers_are_worth_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.objective\.grader: Nothing says what answers are worth"):
        run(tmp_path, recipe_of(), None)


def test_smoothed_probabilities_are_none_that_were_drawn_by(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.label_smoothing: The objective 'grpo' compares answers"):
        run(tmp_path, recipe_of(label_smoothing=0.1))


def test_draws_of_other_rows_are_refused(tmp_path: Path) -> None:
    run(tmp_path, recipe_of(epochs=1))
    folder = tmp_path / "other" / "run" / FOLDER
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "run" / FOLDER / "00000001.parquet", folder / "00000000.parquet")
    with pytest.raises(DataError, match="drawn for other rows"):
        run(tmp_path / "other", recipe_of(epochs=1), root=tmp_path)


def test_of_several_learned_answers_the_last_is_drawn_anew(tmp_path: Path) -> None:
    base = made_base(tmp_path / "tiny")
    turns = [("user", "a?"), ("assistant", "b"), ("user", "c?"), ("assistant", "d")]
    row = Example("row", tuple(Message(role, text) for role, text in turns), {}, "made", 1)
    rows = Rows(
        tokenize([row], base.chat, key="two", cache=tmp_path / "cache", max_length=256), None, needs_general=False
    )
    ids, (prompt,) = rows.asked([0])
    assert ids == ["row"]
    assert base.tokenizer.decode(prompt) == (
        "<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_micro_batches_do_not_change_the_second_step(tmp_path: Path, beta: float) -> None:
    found = []
    for budget in (60, 4000):
        recipe = recipe_of(objective={"passes": 2, "beta": beta}, epochs=0.5, node_budget=budget)
        trained, steps = run(tmp_path / str(budget), recipe, root=tmp_path)
        # The second step's loss shows the first one's gradient.
        found.append([*trained.progress.train[1], steps[1]["clipped"]])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize(("method", "rate"), [(None, 0.05), ("full", 0.002)])
def test_the_model_is_held_against_what_it_was(tmp_path: Path, method: Any, rate: float) -> None:
    recipe = recipe_of(method, objective={"beta": 0.5}, learning_rate=rate)
    _, steps = run(tmp_path, recipe)
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert steps[-1]["kl"] > 1e-3


def test_answers_behind_virtual_tokens_are_learned_as_they_were_drawn(tmp_path: Path) -> None:
    _, steps = run(tmp_path, recipe_of({"name": "prefix", "tokens": 3}, epochs=1))
    assert steps[0]["loss"] == pytest.approx(0, abs=1e-6)
    assert steps[0]["clipped"] == 0


def test_rows_computed_apart_learn_the_same(tmp_path: Path) -> None:
    found = []
    for backend in ("segments", "unshared"):
        trained, _ = run(
            tmp_path / backend, recipe_of(objective={"passes": 2}, epochs=0.5, backend=backend), root=tmp_path
        )
        found.append(trained.progress.train[1])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_an_encoder_decoder_learns_as_well(tmp_path: Path) -> None:
    tiny_t5_folder(tmp_path / "tiny")
    _, steps = run(tmp_path, recipe_of(objective={"answers": 8, "beta": 0.01}, epochs=8))
    assert steps[0]["loss"] == pytest.approx(0, abs=1e-6)
    rewards = [each["reward"] for each in steps]
    assert np.mean(rewards[-4:]) > np.mean(rewards[:4]) + 0.2
