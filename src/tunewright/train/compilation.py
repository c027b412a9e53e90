"""Whether a run's blocks are compiled (`train.compile`): weighed, tried on the run's own steps, told, and kept.

`auto` watches the first steps. If what is left of the run is long enough that a plausible saving would win compiling
back, it compiles, computes the gradients of some steps to come in turn both ways, and keeps the faster way. The choice
is kept in the run's folder with the step from which it holds, so that a resumed run goes on as the interrupted one
would have, whatever the clock says by then.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import ModelError
from tunewright.base.files import read_json, write_json
from tunewright.recipe.schema import Recipe
from tunewright.train.blocks import Compiled, CompiledBlocks, graphs, unfit
from tunewright.train.determinism import random_state, set_random_state
from tunewright.train.ranks.group import ALONE, Ranks
from tunewright.train.trial import Ways

RECORD = "compilation.json"  # in a run's folder
WATCHED_STEPS = 4  # of these the first is left out, which meets cold caches
TURNS = 3
# A way that is faster by less than this is as fast: three turns do not tell them apart.
_LEAST_SAVING = 0.01
# What compiling plausibly saves of a step, by device and whether numbers are narrower than float32, and what it takes,
# in seconds, however many blocks there are; measured on processors (docs/decisions/024-compilation.md). On CUDA small
# launches weigh more; those are guesses.
_SAVING = {("cpu", False): 0.05, ("cpu", True): 0.1, ("cuda", False): 0.15, ("cuda", True): 0.15}
_COMPILING_S = {"cpu": 50.0, "cuda": 60.0}
# Largest difference of the compiled gradient, over its length, that rounding explains. In bfloat16 either way lies some
# 0.05 from float32's, and 0.04 from the other.
_BOUND, _NARROW_BOUND = 1e-3, 0.15


@dataclass(frozen=True, slots=True)
class Choice:
    """How a run computes its blocks.

    Args:
        compiled: Whether compiled.
        step: Steps that were done when that was chosen; the choice holds from the next one on.
        reason: Why.
    """

    compiled: bool
    step: int
    reason: str


def is_worth_trying(step_s: float, steps_left: int, device: str, *, narrow: bool = False) -> bool:
    """Whether a plausible saving on the steps that are left would win back compiling and the trial.

    Args:
        step_s: What a step takes, in seconds.
        device: `cpu` or `cuda`.
        narrow: Whether it computes in fewer bits than float32 has.
    """
    return _SAVING[device, narrow] * step_s * steps_left > _COMPILING_S[device] + 2 * (TURNS + 1) * step_s


class Compilation:
    """What becomes of `train.compile` in a run.

    What `auto` comes to is settled before a step of a fixed number, or at once in a run that begins behind it: one that
    was interrupted before settles it at the same place.

    Args:
        model: Adopted, with its adapter.
        recipe: `train.compile` says what is asked.
        folder: The run's, where the choice is kept.
        gradient: Adds the gradient of a step, counted from 0, to that of the weights.
        weights: What it is added to, by name.
        listener: Hears of the choice, and of the figures behind it.
        ranks: The processes that train together; they choose alike.

    Attributes:
        choice: None as long as it is open.

    Raises:
        ModelError: If the recipe asks for compiled blocks of a model that has none.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        folder: Path,
        gradient: Callable[[int], object],
        weights: Mapping[str, Tensor],
        *,
        listener: events.Listener = events.ignore,
        ranks: Ranks = ALONE,
    ) -> None:
        self._model, self._asked, self._place = model, recipe.train.compile, folder / RECORD
        self._narrow = next(iter(model.parameters())).dtype in (torch.bfloat16, torch.float16)
        self._ways = Ways(gradient, weights, self._switch)
        self._listener, self._ranks = listener, ranks
        self._recipe, self._fault = recipe, ""
        self._blocks: CompiledBlocks | None = None
        self._graphs = 0  # made when the blocks were ready
        self._seconds: list[float] = []
        self.choice: Choice | None = None
        if self._asked == "on" and (fault := unfit(model, recipe)):
            raise _cannot(fault)
        if self._asked == "off":
            self.choice = Choice(False, 0, "the recipe says so")
        elif self._place.exists():
            self.choice = Choice(**read_json(self._place))

    def took(self, seconds: float) -> None:
        """Notes what a step took."""
        self._seconds.append(seconds)

    def before_step(self, step: int, steps: int) -> None:
        """Chooses where that is due, and makes the blocks compute as was chosen.

        Args:
            step: Steps done.
            steps: Steps in all.
        Raises:
            ModelError: If the recipe asks for compiled blocks, and they cannot be had.
        """
        if self.choice is None and (self._asked == "on" or step >= WATCHED_STEPS):
            self._choose(step, steps)
        elif self.choice and self.choice.compiled and self._blocks is None and step >= self.choice.step:
            self._take_up()

    def finish(self) -> None:
        """Leaves the model's blocks as they were."""
        if self._blocks is not None and (more := graphs() - self._graphs):
            self._tell(f"{more} more graphs were compiled on the way, for steps that the first ones did not serve")
        self._drop()

    def _choose(self, step: int, steps: int) -> None:
        """Makes the run's choice before a step."""
        if self._asked == "auto" and (reason := self._reason_against(step, steps - step)):
            self._keep(Choice(False, step, reason))
            return
        made = self._compile()
        is_faster, reason = self._tried(made, step, steps) if made else (False, f"compiling fails here: {self._fault}")
        if not is_faster:
            self._drop()
            if self._asked == "on":
                raise _cannot(reason)
        self._keep(Choice(is_faster, step, reason))
        self._tell(f"{reason}; {'the run goes on compiled' if is_faster else 'the run goes on as it was'}")

    def _reason_against(self, step: int, steps_left: int) -> str:
        """Why nothing is tried; empty if it is. A run that would be long enough hears why; a short one need not."""
        # A process that comes in later has seen no step of its own: it computes a gradient, which moves nothing, twice.
        seconds = self._seconds if len(self._seconds) > 1 else self._ways.own_seconds([step, step])
        step_s = statistics.median(seconds[1:])
        device = next(iter(self._model.parameters())).device.type
        if not self._ranks.tell(is_worth_trying(step_s, steps_left, device, narrow=self._narrow)):
            return f"{steps_left} steps of {step_s:.2g} s are too few to win compiling back"
        if fault := unfit(self._model, self._recipe):
            self._tell(f"The steps are not compiled: {fault}")
        return fault

    def _compile(self) -> Compiled | None:
        """Makes the blocks ready; None where that fails here or in another process, with the fault noted."""
        self._listener(events.Stage("compiling", "started"))
        state, made, fault = random_state(), None, ""
        self._blocks = CompiledBlocks(self._model)
        try:
            made = self._blocks.warm_up()
        except (RuntimeError, OSError) as error:  # whatever the tracer, the compiler and the linker have to say
            fault = _first_line(error)
        self._ways.forget()
        set_random_state(state)
        self._graphs = graphs()
        self._listener(events.Stage("compiling", "finished"))
        self._fault = next((each for each in self._ranks.gather(fault) if each), "")
        return None if self._fault else made

    def _tried(self, made: Compiled, step: int, steps: int) -> tuple[bool, str]:
        """Whether compiled blocks are to be used, and why: they give the same and, if that is asked, are faster."""
        difference = max(self._ranks.gather(self._ways.difference(step)))
        if not difference <= (_NARROW_BOUND if self._narrow else _BOUND):
            return False, f"{made}, whose gradient differs by {difference:.1e} of its length"
        if self._asked == "on":
            return True, f"{made}, with a gradient that is equal to {difference:.0e} of its length"
        plain_s, compiled_s = self._in_turn(step, steps)
        told = f"{made}; a step takes {compiled_s:.3g} s where it took {plain_s:.3g} s"
        if compiled_s > (1 - _LEAST_SAVING) * plain_s:
            return False, told
        spent_s = made.seconds + (TURNS + 1) * (plain_s + compiled_s)
        after = round(spent_s / (plain_s - compiled_s))
        return True, f"{told}, which wins that back after {after:,} steps of the {steps - step:,} that are left"

    def _in_turn(self, step: int, steps: int) -> tuple[float, float]:
        """Median seconds of some steps to come, as they are and compiled; of several processes, the slowest's."""
        tell = partial(events.Stage, "comparing")
        self._listener(tell("started", 0, TURNS, "steps"))
        numbers = [min(step + turn, steps - 1) for turn in range(TURNS)]
        found = self._ways.seconds(numbers, lambda done: self._listener(tell("progress", done, TURNS, "steps")))
        self._listener(tell("finished", TURNS, TURNS, "steps"))
        plain, compiled = (
            [max(of_ranks) for of_ranks in zip(*each, strict=True)]
            for each in zip(*self._ranks.gather(found), strict=True)
        )
        self._switch(True)
        return statistics.median(plain), statistics.median(compiled)

    def _take_up(self) -> None:
        """Makes the blocks ready in a process that resumes a run which computed them compiled."""
        made = self._compile()
        if made is not None:
            self._tell(f"As this run did before, it goes on compiled: {made}")
            return
        self._drop()
        if self._asked == "on":
            raise _cannot(self._fault)
        self.choice = Choice(False, 0, self._fault)  # not kept: the next resume may find a compiler again
        text = f"This run's steps were compiled, which fails here ({self._fault})"
        text += ": its bits may differ from an uninterrupted run's."
        self._listener(events.Message(text, "warning"))

    def _switch(self, compiled: bool) -> None:
        assert self._blocks is not None
        self._blocks.on = compiled

    def _keep(self, choice: Choice) -> None:
        """Keeps the choice with the run before a step follows it."""
        self.choice = choice
        if self._ranks.is_first:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._place, asdict(choice))

    def _drop(self) -> None:
        if self._blocks is not None:
            self._blocks.remove()
        self._blocks = None

    def _tell(self, text: str) -> None:
        self._listener(events.Message(f"{text[0].upper()}{text[1:]}."))


def _first_line(error: Exception) -> str:
    """What is wrong, in a line; of an error that was raised around another, the inner one's."""
    inner = getattr(error, "inner_exception", error)
    lines = [line for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[0].strip()}".rstrip(".") if lines else type(inner).__name__


def _cannot(fault: str) -> ModelError:
    return ModelError(
        f"The steps cannot be compiled: {fault}",
        where="train.compile",
        hint="Set it to auto, which compiles where it can and gains by it, or to off.",
    )
