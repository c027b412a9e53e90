"""Whether a run compiles: weighed, tried, told, kept, and the same bits after a resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.made import interrupted_and_resumed, made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import ModelError
from tunewright.base.files import read_json
from tunewright.train import blocks, compilation, train
from tunewright.train.compilation import RECORD, WATCHED_STEPS, is_worth_trying
from tunewright.train.trained import Trained
from tunewright.train.trial import Ways

STEPS = 8


def work(root: Path, folder: Path, *, asked: str = "auto", **options: Any) -> Trained:
    base = made_base(root / "tiny")
    tables = made_tables(base, root / "cache", rows=8 * STEPS)
    recipe = made_recipe(compile=asked, checkpoint_every_s=1e-6)
    return train(base, tables, recipe, folder=folder, **options)


def told(heard: list[events.Event]) -> str:
    return "\n".join(e.text for e in heard if isinstance(e, events.Message) and "compil" in e.text.lower())


def as_traced(plain: Callable[..., Any]) -> Callable[..., Any]:
    """In the place of torch's compiler, one whose blocks differ in their last bits: it shows which steps used them."""

    def forward(block: Any, *args: Any, **kwargs: Any) -> Any:
        return plain(block, *args, **kwargs) * (1 + 1e-6)

    return forward


@pytest.fixture
def eager_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any run is long enough, and the trial finds compiled steps at half the time."""
    monkeypatch.setattr(compilation, "is_worth_trying", lambda *told, **more: True)
    monkeypatch.setattr(Ways, "seconds", lambda ways, steps, done: ([2.0, 2.2, 2.1], [1.0, 1.1, 1.05]))
    monkeypatch.setattr(blocks, "_compile", as_traced)
    monkeypatch.setattr(compilation, "unfit", lambda model, recipe: "")


def test_a_run_is_worth_a_trial_when_a_plausible_saving_wins_it_back() -> None:
    # Steps of 2 s: 50 s of compiling and eight gradients, 66 s, are 5 % of 1,320 s: 660 steps.
    assert not is_worth_trying(2.0, 660, "cpu")
    assert is_worth_trying(2.0, 661, "cpu")
    assert not is_worth_trying(2.0, 330, "cpu", narrow=True)
    assert is_worth_trying(2.0, 331, "cpu", narrow=True)
    assert is_worth_trying(2.0, 260, "cuda")
    assert not is_worth_trying(2.0, 250, "cuda")


def test_a_short_run_compiles_nothing_says_nothing_and_keeps_why(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    work(tmp_path, tmp_path / "run", listener=heard.append)
    kept = read_json(tmp_path / "run" / RECORD)
    assert (kept["compiled"], kept["step"]) == (False, WATCHED_STEPS)
    assert "are too few to win compiling back" in kept["reason"]
    assert told(heard) == ""


@pytest.mark.usefixtures("eager_to_try")
def test_auto_compiles_tells_the_figures_and_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    whole = work(tmp_path, tmp_path / "whole", listener=heard.append)
    assert "Compiled 1 of 2 blocks in 0 s" in told(heard)
    assert "a step takes 1.05 s where it took 2.1 s, which wins that back after 12 steps of the 4 that are" in told(
        heard
    )
    kept = read_json(tmp_path / "whole" / RECORD)
    assert (kept["compiled"], kept["step"]) == (True, WATCHED_STEPS)
    # Steps before the choice are those of a run that never compiles; those behind it may be rounded otherwise.
    never = work(tmp_path, tmp_path / "never", asked="off")
    assert whole.progress.train[:WATCHED_STEPS] == never.progress.train[:WATCHED_STEPS]
    for row, other in zip(whole.progress.train, never.progress.train, strict=True):
        assert row == pytest.approx(other, rel=1e-4)

    def part(folder: Path, **options: Any) -> Trained:
        return work(tmp_path, folder, **options)

    for step in (1, WATCHED_STEPS, WATCHED_STEPS + 2):
        parts = interrupted_and_resumed(part, tmp_path / f"parts-{step}", step=step)
        assert parts.progress.train == whole.progress.train
        files = [result.adapter / "adapter_model.safetensors" for result in (whole, parts)]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.long
@pytest.mark.usefixtures("eager_to_try")
def test_a_trial_that_finds_no_gain_leaves_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ways, "seconds", lambda ways, steps, done: ([2.0, 2.0, 2.0], [1.99, 2.5, 1.99]))
    heard: list[events.Event] = []
    tried = work(tmp_path, tmp_path / "run", listener=heard.append)
    assert "a step takes 1.99 s where it took 2 s; the run goes on as it was" in told(heard)
    assert read_json(tmp_path / "run" / RECORD)["compiled"] is False
    assert tried.progress.train == work(tmp_path, tmp_path / "never", asked="off").progress.train


@pytest.mark.usefixtures("eager_to_try")
def test_another_gradient_is_not_taken_for_a_faster_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(plain: Callable[..., Any]) -> Callable[..., Any]:
        return lambda block, *args, **kwargs: plain(block, *args, **kwargs) + 0.5 * args[0]

    monkeypatch.setattr(blocks, "_compile", wrong)
    heard: list[events.Event] = []
    tried = work(tmp_path, tmp_path / "run", listener=heard.append)
    assert "whose gradient differs by" in told(heard)
    assert tried.progress.train == work(tmp_path, tmp_path / "never", asked="off").progress.train
    with pytest.raises(ModelError, match=r"train\.compile: The steps cannot be compiled: .* whose gradient differs"):
        work(tmp_path, tmp_path / "on", asked="on")


@pytest.mark.long
@pytest.mark.usefixtures("eager_to_try")
def test_on_compiles_from_the_first_step_without_a_contest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ways, "seconds", lambda ways, steps, done: pytest.fail("nothing is to be timed"))
    heard: list[events.Event] = []
    compiled = work(tmp_path, tmp_path / "run", asked="on", listener=heard.append)
    assert "the run goes on compiled" in told(heard)
    never = work(tmp_path, tmp_path / "never", asked="off")
    assert compiled.progress.train[0] != never.progress.train[0]
    assert compiled.progress.train[0] == pytest.approx(never.progress.train[0], rel=1e-4)


@pytest.mark.usefixtures("eager_to_try")
def test_a_failing_compiler_is_told_by_auto_and_refused_by_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def broken(graph: Any, inputs: Any) -> Any:
            raise OSError("no room for the compiler's files")

        return torch.compile(lambda block, *args, **kwargs: args[0] + 1, backend=broken)

    monkeypatch.setattr(blocks, "_compile", failing)
    heard: list[events.Event] = []
    tried = work(tmp_path, tmp_path / "run", listener=heard.append)
    assert "Compiling fails here: " in told(heard)
    assert "no room for the compiler's files; the run goes on as it was" in told(heard)
    assert tried.progress.train == work(tmp_path, tmp_path / "never", asked="off").progress.train
    with pytest.raises(ModelError, match="no room for the compiler's files") as caught:
        work(tmp_path, tmp_path / "on", asked="on")
    assert caught.value.exit_code == 2
    assert "Set it to auto" in caught.value.hint


@pytest.mark.long
@pytest.mark.usefixtures("eager_to_try")
def test_a_compiled_run_that_finds_no_compiler_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(plain: Callable[..., Any]) -> Callable[..., Any]:
        def forward(block: Any, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("g++ is gone")

        return forward

    heard: list[events.Event] = []

    def part(folder: Path, **options: Any) -> Trained:
        if options.get("resume"):
            monkeypatch.setattr(blocks, "_compile", gone)
            options["listener"] = lambda event, inner=options["listener"]: (heard.append(event), inner(event))
        return work(tmp_path, folder, **options)

    assert interrupted_and_resumed(part, tmp_path / "run", step=WATCHED_STEPS + 2).steps == STEPS
    warnings = [event.text for event in heard if isinstance(event, events.Message) and event.level == "warning"]
    assert "g++ is gone" in warnings[0]
    assert read_json(tmp_path / "run" / RECORD)["compiled"] is True  # the next resume may find it again


def test_what_does_not_fit_is_refused_by_on_and_told_by_auto_where_it_would_have_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "unfit", lambda model, recipe: "this one has no blocks")
    with pytest.raises(ModelError, match=r"train\.compile: The steps cannot be compiled: this one has no blocks"):
        work(tmp_path, tmp_path / "on", asked="on")
    assert not (tmp_path / "on").exists()
    heard: list[events.Event] = []
    work(tmp_path, tmp_path / "short", listener=heard.append)
    assert told(heard) == ""
    monkeypatch.setattr(compilation, "is_worth_trying", lambda *told, **more: True)
    work(tmp_path, tmp_path / "long", listener=heard.append)
    assert told(heard) == "The steps are not compiled: this one has no blocks."
