"""Judges in memory, and what a recipe may say of a judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.judging.bench import bench
from tests.lifecycle.world import make_world
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import InputError, RecipeError
from tunewright.data.example import Message
from tunewright.evaluate import Asked
from tunewright.evaluate.judging.judge import Asking, LocalJudge, Silent, open_local
from tunewright.evaluate.judging.rounds import hold_all, judge_all
from tunewright.evaluate.judging.rubrics import built_in, rubric_at
from tunewright.evaluate.probes.judge import Config, probe
from tunewright.evaluate.probes.principles import Config as Principles
from tunewright.recipe import load_recipe

ASKING = Asking(max_tokens=16, missing=0)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> LocalJudge:
    folder = tmp_path_factory.mktemp("judge")
    return open_local(str(tiny_folder(folder / "model")), folder / "cache")


def test_likelihoods_are_those_of_the_plain_model(judge: LocalJudge) -> None:
    import torch

    asked = [[Message("user", "One or five?")], [Message("system", "Be brief."), Message("user", "And now?")]]
    words = ("1", "5", "tie")
    found = judge.likelihoods(asked, words, ASKING)
    chat, dtype = judge.speaker.base.chat, judge.speaker.base.model.dtype
    model = tiny_model().to(dtype)
    for conversation, shares in zip(asked, found, strict=True):
        assert not isinstance(shares, Silent)
        logp = []
        for word in words:
            prompt = chat.prompt(conversation)
            tokens = prompt + chat.tokenizer.encode(word, add_special_tokens=False) + [2]  # <|im_end|>
            with torch.no_grad():
                scores = model(torch.tensor([tokens])).logits[0].float().log_softmax(-1)
            logp.append(sum(float(scores[at - 1, tokens[at]]) for at in range(len(prompt), len(tokens))))
        expected = np.exp(logp) / np.exp(logp).sum()
        assert [shares[word] for word in words] == pytest.approx(expected, abs=1e-5 if dtype == torch.float32 else 0.05)


def test_a_small_judge_grades_by_its_expected_score_and_is_asked_once(judge: LocalJudge, tmp_path: Path) -> None:
    given = bench(judge.folder.parent, tuned=["Yes.", "No."], base=["No.", "Yes."])
    config = Config(rubrics=(built_in()["clarity"],), local=judge.speaker.base.files.name, how="likelihood")
    (once,) = judge_all(config, given, ("tuned", "base"), where="here")
    assert 1.0 < once.value < 5.0
    kept = {path: path.stat().st_mtime_ns for path in judge.folder.rglob("*.json")}
    (again,) = judge_all(config, given, ("tuned", "base"), where="here")
    assert again.as_json() == once.as_json()
    assert kept == {path: path.stat().st_mtime_ns for path in judge.folder.rglob("*.json")}


def test_pairs_and_principles_by_likelihood(judge: LocalJudge) -> None:
    given = bench(judge.folder.parent, tuned=["Yes.", "No."], base=["No.", "Maybe."])
    who = {"local": judge.speaker.base.files.name, "how": "likelihood"}
    rate, _ = judge_all(Config(rubrics=(), pairwise=True, **who), given, ("tuned", "base"), where="here")
    assert 0.0 <= rate.value <= 1.0
    (broken,) = hold_all(Principles(principles=("Is polite.",), **who), given, ("tuned",), where="here")
    assert broken.value in (0.0, 0.5, 1.0)


def test_words_of_a_local_judge_are_kept(judge: LocalJudge) -> None:
    asked = [[Message("user", "Hello?")]]
    assert judge.say(asked, ASKING) == judge.say(asked, ASKING)
    assert any(judge.folder.glob("??/*.json"))


def test_what_is_longer_than_the_judge_reads_is_not_judged(judge: LocalJudge) -> None:
    long = [Message("user", "a" * 3000)]
    for found in (judge.say([long], ASKING)[0], judge.likelihoods([long], ("1", "2"), ASKING)[0]):
        assert isinstance(found, Silent)
        assert "longer than the judge reads (2,048)" in found.reason


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("judge", "nobody is named who judges"),
        ({"name": "judge", "local": "a", "release": "b"}, "local and release each name a judge"),
        (
            {"name": "judge", "how": "likelihood", "endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m"}},
            "an endpoint does not say how likely",
        ),
        ({"name": "judge", "local": "a", "rubrics": ["clarty"]}, "Did you mean 'clarity'"),
        ({"name": "judge", "local": "a", "rubrics": ["tone", "tone"]}, "the rubric name 'tone' is taken"),
        (
            {"name": "judge", "local": "a", "rubrics": [{"name": "x", "question": "?", "scale": {1: "bad"}}]},
            "two points or more",
        ),
        ({"name": "principles", "principles": ["Be kind."]}, "nobody is named who judges"),
    ],
)
def test_a_recipe_with_a_wrong_judge_is_refused(named: object, message: str, tmp_path: Path) -> None:
    recipe = make_world(tmp_path, rows=3, evaluate={"probes": [named]})
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe)


def test_a_local_judge_is_found_beside_the_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(make_world(tmp_path, rows=3, evaluate={"probes": [{"name": "judge", "local": "./base"}]}))
    assert recipe.evaluate.probes[0].local == str(tmp_path / "base")


def test_every_built_in_rubric_describes_each_point() -> None:
    assert set(built_in()) == {"clarity", "coherence", "faithfulness", "helpfulness", "tone"}
    for rubric in built_in().values():
        assert rubric.points == (1, 2, 3, 4, 5)
        assert all(meaning.endswith(".") for meaning in rubric.scale.values())


def test_a_rubric_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "brief.yaml"
    file.write_text("name: brief\nquestion: Is it brief?\nscale: {0: No., 1: Yes.}\n")
    assert rubric_at(str(file)).points == (0, 1)
    file.write_text("name: brief\nquestion: Is it brief?\n")
    with pytest.raises(InputError, match="scale: Field required"):
        rubric_at(str(file))
    with pytest.raises(InputError, match="cannot be read"):
        rubric_at(str(tmp_path / "none.yaml"))


def test_what_is_found_is_known_before() -> None:
    from tunewright.base.plugins import PROBES

    config = Config(local="x", rubrics=(built_in()["tone"],), pairwise=True)
    assert PROBES.call("judge", "names", config) == ("judge_tone", "judge_win_rate", "judge_flips")
    assert PROBES.call("principles", "names", Principles()) == ("principles_broken",)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"name": "judge", "local": "x", "people": "none.csv"}, "none.csv"),
        ({"name": "principles", "local": "x"}, "No principle is stated"),
        (
            {
                "name": "judge",
                "endpoint": {"url": "http://127.0.0.1:9/v1", "model": "m", "key_variable": "NOT_SET_HERE"},
            },
            "NOT_SET_HERE",
        ),
    ],
)
def test_what_a_judge_lacks_is_said_before_training(named: dict[str, object], message: str, tmp_path: Path) -> None:
    from tunewright.lifecycle.job import start

    recipe = make_world(tmp_path, rows=60, evaluate={"probes": [named]})
    with pytest.raises(InputError, match=message), start(recipe, workspace=tmp_path / "ws"):
        pass


def test_a_system_that_was_named_must_have_answered(tmp_path: Path) -> None:
    given = bench(tmp_path, tuned=["a"])
    asked = Asked({}, given.answers, given.examples, (), "text", "", 5, 100, tmp_path)
    with pytest.raises(InputError, match="'champion' has no answers that could be judged"):
        probe(Config(local="x", against="champion"), asked)
