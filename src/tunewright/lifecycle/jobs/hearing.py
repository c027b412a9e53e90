"""What a job's run tells, told on as the job's events; and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Event, Message, Metrics
from tunewright.lifecycle.jobs import jobs
from tunewright.lifecycle.jobs.jobs import EVENT
from tunewright.lifecycle.preparing import token_tables
from tunewright.store import Workspace
from tunewright.store.records import Record
from tunewright.train.rollouts import REWARD
from tunewright.train.rows import Rows, order_of
from tunewright.train.schedule import kept_steps, validation_steps

if TYPE_CHECKING:
    from tunewright.lifecycle.job import Job

MOST_METRICS = 1000
_TELL_FINISH_EVERY_S = 2.0
_LEVELS: Mapping[str, jobs.Level] = {"info": "info", "warning": "warn", "error": "error"}


@dataclass(frozen=True)
class Steps:
    """A run's steps.

    Args:
        total: How many there are.
        validating: Those with a look at the validation rows.
        ends: Those with which one of the last epochs ends.
    """

    total: int
    validating: frozenset[int]
    ends: frozenset[int]

    @classmethod
    def of(cls, run: Job) -> Steps:
        """The steps of an open run whose dataset is made."""
        tables = token_tables(run)
        order = order_of(Rows(tables["train"], None, needs_general=False), run.recipe)
        ends = kept_steps(order, run.recipe.train.keep_epochs)
        validating = ends | validation_steps(order, run.recipe.train.validate_every)
        has_rows = "validation" in tables and len(tables["validation"]) > 0
        return cls(order.steps, validating if has_rows else frozenset(), ends)

    def is_told(self, step: int) -> bool:
        """Whether a step has an event: each of them in short runs, and about a thousand of a longer one's."""
        every = -(-self.total // MOST_METRICS)
        return step % every == 0 or step in (1, self.total) or step in self.validating or step in self.ends


@dataclass
class Hearer:
    """A listener that tells a job's events.

    An event of a step is in the database before the loop goes on, and so before any checkpoint that lies behind it: no
    step is missing after a kill. What a resumed run does again is told once.

    Args:
        workspace: Where the job is.
        job: The job.
        check: Called with each event; raises where the work shall stop.
        steps: The run's, once training begins.
        moved: Called after each event of a step.
    """

    workspace: Workspace
    job: Record
    check: Callable[[], None]
    steps: Callable[[], Steps]
    moved: Callable[[], None] = lambda: None
    _held: dict[str, float] = field(default_factory=dict)
    _seconds: list[tuple[int, float]] = field(default_factory=list)
    _finish_told_at: float = 0.0

    def __call__(self, event: Event) -> None:
        """Hears an event of the run."""
        self.check()
        if isinstance(event, Message):
            # The same sentence again is the run begun again.
            jobs.tell(self.workspace, self.job, f"said {event.text}", event.text, level=_LEVELS[event.level])
        elif isinstance(event, Metrics) and event.stage == "train":
            self._hear_step(event)

    @cached_property
    def _told_up_to(self) -> int:
        """The last step that an earlier process has told."""
        found = self.workspace.records(EVENT, parent=self.job.id, where={"type": "metrics"}, limit=1).records
        return int(found[0].body["data"]["step"]) if found else 0

    @cached_property
    def _steps(self) -> Steps:
        return self.steps()

    def _hear_step(self, event: Metrics) -> None:
        if "loss" in event.values:
            self._seconds.append((event.step, time.monotonic()))
            self._tell_finish(event.step)
            self._held = dict(event.values)
            if event.step in self._steps.validating:
                return  # its validation is told with it
        else:
            self._held |= event.values
        if event.step > self._told_up_to and self._steps.is_told(event.step):
            data = metrics_of(event.step, self._steps, self._held)
            jobs.tell(self.workspace, self.job, step_mark(event.step), sentence_of(data), data=data)
        self.moved()

    def _tell_finish(self, step: int) -> None:
        now = time.monotonic()
        (first, began), (last, ended) = self._seconds[0], self._seconds[-1]
        del self._seconds[1:-1]
        if last == first or now - self._finish_told_at < _TELL_FINISH_EVERY_S:
            return
        self._finish_told_at = now
        left_s = (self._steps.total - step) * (ended - began) / (last - first)
        jobs.change(self.workspace, self.job.id, estimated_finish=round(time.time() + left_s))


def step_mark(step: int) -> str:
    """The mark of a step's event."""
    return f"step {step}"


def metrics_of(step: int, steps: Steps, values: Mapping[str, float]) -> dict[str, Any]:
    """An event's numbers; null where something is not measured at this step, or by this method."""
    if REWARD in values:
        return _rewards_of(step, steps, values)
    loss, accuracy = values.get("validation_loss"), values.get("validation_token_accuracy")
    is_end = step in steps.ends
    return {
        "step": step,
        "total_steps": steps.total,
        "train_loss": values["loss"],
        "train_mean_token_accuracy": values.get("token_accuracy"),
        "valid_loss": loss,
        "valid_mean_token_accuracy": accuracy,
        "full_valid_loss": loss if is_end else None,
        "full_valid_mean_token_accuracy": accuracy if is_end else None,
    }


def _rewards_of(step: int, steps: Steps, values: Mapping[str, float]) -> dict[str, Any]:
    """The numbers of a step of reinforcement; validation answers the whole file each time."""
    train, valid = values[REWARD], values.get(f"validation_{REWARD}")
    return {
        "step": step,
        "total_steps": steps.total,
        "train_loss": values["loss"],
        "train_mean_reward": train,
        "full_valid_mean_reward": valid,
        "scores": {"train_reward_mean": train, "valid_reward_mean": valid},
        "completion_tokens_mean": values["answer_tokens"],
        "mean_unresponsive_rewards": values.get("ungraded", 0.0),
        "entropy": values["entropy"],
        "kl": values.get("kl"),
    }


def sentence_of(data: Mapping[str, Any]) -> str:
    """An event's message: "Step 240/240: training loss=0.12, validation loss=0.15"."""
    if "train_mean_reward" in data:
        said = f"Step {data['step']}/{data['total_steps']}, train mean reward={data['train_mean_reward']:.2f}"
        valid = data["full_valid_mean_reward"]
        return said if valid is None else f"{said}, full validation mean reward={valid:.2f}"
    said = f"Step {data['step']}/{data['total_steps']}: training loss={data['train_loss']:.2f}"
    for name, loss in (("validation loss", "valid_loss"), ("full validation loss", "full_valid_loss")):
        said += f", {name}={data[loss]:.2f}" if data[loss] is not None else ""
    return said
