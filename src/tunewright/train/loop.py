"""The training loop: one for every objective, method and model."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import DataError, TrainingDivergedError
from tunewright.base.files import atomic_directory, hash_value
from tunewright.base.plugins import METHODS, OBJECTIVES
from tunewright.base.seeds import derive
from tunewright.data.tokens import TokenTable
from tunewright.forest import Forest, build, cut, layout
from tunewright.forest import Path as ForestPath
from tunewright.forest.reference import check_reference, score_with_reference
from tunewright.forest.score import DEFAULT_BACKEND, score
from tunewright.models.adapters import save_adapter
from tunewright.objectives._protocol import LossSum, Objective
from tunewright.recipe.schema import Recipe
from tunewright.train import checkpoint
from tunewright.train.checkpoint import Progress
from tunewright.train.interrupt import Interrupt
from tunewright.train.schedule import Order, learning_rate, validation_steps

if TYPE_CHECKING:
    from tunewright.models.base import Base


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Args:
        adapter: Folder of the best adapter.
        progress: Its curves, and where the best was.
        steps: Steps that were planned.
        stopped_early: Whether patience ran out before them.
        trainable: Number of trained weights.
        seconds: Time in this process, in seconds; a resumed run counts from its resume.
    """

    adapter: Path
    progress: Progress
    steps: int
    stopped_early: bool
    trainable: int
    seconds: float


def train(
    base: Base,
    tables: Mapping[str, TokenTable],
    recipe: Recipe,
    *,
    folder: Path,
    resume: bool = False,
    listener: events.Listener = events.ignore,
) -> Trained:
    """Trains an adapter on a base model, which it wraps in place.

    Args:
        base: A freshly loaded base model.
        tables: Token tables "train" and, where there are such rows, "validation".
        recipe: What to do; `method`, `train` and `seed` are read.
        folder: Where checkpoints and the adapter go.
        resume: Go on from the newest checkpoint in the folder, should there be one.
        listener: Hears a stage "train", and metrics at each step and each validation.

    Raises:
        DataError: If there is nothing to learn from.
        TrainingDivergedError: If a loss or gradient is not finite; names the step and its rows.
        KeyboardInterrupt: After Ctrl-C, once the step is done and a checkpoint is written.
    """
    with _deterministic(), Interrupt() as interrupt:
        session = _Session(base, tables, recipe, folder, listener)
        if resume:
            session.restore()
        return session.run(interrupt)


class _Session:
    """One training run in memory: the model, its optimiser, and how far it has come."""

    def __init__(
        self,
        base: Base,
        tables: Mapping[str, TokenTable],
        recipe: Recipe,
        folder: Path,
        listener: events.Listener,
    ) -> None:
        self._base, self._table, self._recipe, self._listener = base, tables["train"], recipe, listener
        self._folder, self._config = folder, recipe.train
        self._objective: Objective = OBJECTIVES.call(self._config.objective.name, "build", self._config.objective)
        self._usable = [row for row in range(len(self._table)) if self._table.weights(row).any()]
        if not self._usable:
            raise DataError("No training row has a token to learn", hint="Look at the rows: tunewright data prepare.")
        self._order = Order(len(self._usable), self._config.batch_size, self._config.epochs, recipe.seed)
        self._validate_after = validation_steps(self._order, self._config.validate_every)
        self._held_out = _paths(self._objective, tables.get("validation"))
        layout.adopt(base.model)
        method = recipe.method
        self._model = METHODS.call(method.name, "attach", base.model, method, derive(recipe.seed, "adapter"))
        if self._objective.needs_reference:
            check_reference(self._model)
        self._weights = {name: w for name, w in self._model.named_parameters() if w.requires_grad}
        self._optimiser = torch.optim.AdamW(
            self._weights.values(), lr=self._config.learning_rate, weight_decay=self._config.weight_decay, fused=True
        )
        self._progress = Progress()
        self._best: dict[str, Tensor] = {}
        torch.manual_seed(derive(recipe.seed, "noise"))

    @property
    def _fingerprint(self) -> str:
        """What a checkpoint belongs to: training settings, data in tokens, base weights."""
        settings = self._recipe.model_dump(mode="json", include={"seed", "method", "train"})
        settings["train"].pop("checkpoint_every_s")  # when a state is saved does not change it
        return hash_value([settings, self._table.folder.name, self._base.files.weights_hash])

    def run(self, interrupt: Interrupt) -> Trained:
        """Steps until the end, until patience runs out, or until Ctrl-C."""
        started = saved = time.monotonic()
        progress, order = self._progress, self._order
        self._listener(events.Stage("train", "started", progress.step, order.steps, "steps"))
        while progress.step < order.steps and not self._out_of_patience():
            self._step()
            if progress.step in self._validate_after:
                self._validate()
            now = time.monotonic()
            if interrupt.asked or now - saved >= self._config.checkpoint_every_s or progress.step == order.steps:
                self._save()
                saved = now
            if interrupt.asked:
                raise KeyboardInterrupt
        adapter = self._finish()
        self._listener(events.Stage("train", "finished", progress.step, order.steps, "steps"))
        return Trained(
            adapter=adapter,
            progress=progress,
            steps=order.steps,
            stopped_early=progress.step < order.steps,
            trainable=sum(w.numel() for w in self._weights.values()),
            seconds=time.monotonic() - started,
        )

    def restore(self) -> None:
        """Takes up the newest undamaged checkpoint, if there is one."""
        found = checkpoint.latest(self._folder / "checkpoints", self._fingerprint, self._listener)
        if found is None:
            return
        self._progress, tensors = found
        _load(self._weights, tensors["weights"])
        self._best = tensors.get("best", {})
        state = self._optimiser.state_dict()
        state["state"] = {
            index: {key: tensors["optimiser"][f"{name}|{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            for index, name in enumerate(self._weights)
        }
        self._optimiser.load_state_dict(state)
        torch.set_rng_state(tensors["random"]["torch"])
        self._listener(events.Message(f"Resumed after step {self._progress.step} of {self._order.steps}."))

    def _step(self) -> None:
        """One optimiser step: a forest, cut into pieces whose gradients add up."""
        progress, started = self._progress, time.monotonic()
        rows = [self._usable[row] for row in self._order.of_step(progress.step)]
        paths = [
            path for place, row in enumerate(rows) for path in self._objective.paths(self._table.row(row), row, place)
        ]
        rate = learning_rate(progress.step, self._order.steps, self._config)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._model.train()
        self._optimiser.zero_grad()
        loss_sum, weight, nodes = 0.0, 0.0, 0
        reported: Counter[str] = Counter()
        for piece in cut(build(paths), self._config.node_budget):
            part = self._part(piece)
            part.total.backward()  # type: ignore[no-untyped-call]
            loss_sum, weight, nodes = loss_sum + part.total.item(), weight + part.weight, nodes + piece.nodes
            reported.update(part.reported)
        norm = self._scale_gradients(weight)
        loss = loss_sum / weight
        self._check_finite(loss, norm, rows)
        self._optimiser.step()
        progress.step += 1
        progress.train.append((progress.step, loss, rate, norm))
        seconds = time.monotonic() - started
        values = {
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "nodes": float(nodes),
            "tokens": float(sum(len(each.tokens) for row in rows for each in self._table.row(row).sequences)),
            "examples_per_s": len(rows) / seconds,
            **{name: total / weight for name, total in reported.items()},
        }
        self._listener(events.Metrics("train", progress.step, self._order.steps, values))

    def _part(self, piece: Forest) -> LossSum:
        """The loss of a piece of a step's forest."""
        scorer = score_with_reference if self._objective.needs_reference else score
        return self._objective.loss(scorer(self._model, piece, DEFAULT_BACKEND), piece)

    def _scale_gradients(self, weight: float) -> float:
        """Divides the summed gradients by the step's weight, once, and clips them; returns their length before."""
        gradients = [w.grad for w in self._weights.values() if w.grad is not None]
        for gradient in gradients:
            gradient.div_(weight)
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if norm > self._config.clip_norm:
            for gradient in gradients:
                gradient.mul_(self._config.clip_norm / norm)
        return norm

    def _check_finite(self, loss: float, norm: float, rows: list[int]) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        what = "loss" if not math.isfinite(loss) else "gradient"
        names = ", ".join(self._table.ids[row] for row in rows[:5])
        raise TrainingDivergedError(
            f"The {what} is not a finite number (rows {names}{', …' if len(rows) > 5 else ''})",
            where=f"step {self._progress.step + 1}",
            hint="Lower train.learning_rate or look at these rows; the last checkpoint is kept.",
        )

    def _validate(self) -> None:
        """Measures the held-out loss and remembers the best weights."""
        if not self._held_out:
            return
        progress = self._progress
        loss = self._held_out_loss()
        progress.validation.append((progress.step, loss))
        self._listener(
            events.Metrics("train", progress.step, self._order.steps, {"validation_loss": loss, "validated": 1.0})
        )
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.waited = loss, progress.step, 0
            self._best = {name: w.detach().clone() for name, w in self._weights.items()}
        else:
            progress.waited += 1

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        self._model.eval()
        total = weight = 0.0
        for piece in cut(build(self._held_out), self._config.node_budget):
            part = self._part(piece)
            total, weight = total + part.total.item(), weight + part.weight
        return total / weight

    def _out_of_patience(self) -> bool:
        return self._progress.waited >= self._config.patience

    def _save(self) -> None:
        names = dict(enumerate(self._weights))
        states = self._optimiser.state_dict()["state"]
        tensors = {
            "weights": {name: w.detach() for name, w in self._weights.items()},
            "optimiser": {f"{names[i]}|{key}": value for i, state in states.items() for key, value in state.items()},
            "random": {"torch": torch.get_rng_state()},
        }
        if self._best:
            tensors["best"] = self._best
        checkpoint.save(self._folder / "checkpoints", self._progress, tensors, self._fingerprint)

    def _finish(self) -> Path:
        """Puts the best weights back and writes the adapter."""
        if self._best:
            _load(self._weights, self._best)
        self._model.eval()
        place = self._folder / "adapter"
        if not place.exists():
            with atomic_directory(place) as temporary:
                save_adapter(
                    self._model,
                    temporary,
                    method=self._recipe.method,
                    base=self._base.files,
                    chat_fingerprint=self._base.chat.fingerprint,
                )
        return place


def _paths(objective: Objective, table: TokenTable | None) -> list[ForestPath]:
    """All paths of a table that have something to learn."""
    if table is None:
        return []
    examples = ((table.row(row), row) for row in range(len(table)) if table.weights(row).any())
    return [path for example, row in examples for path in objective.paths(example, row, row)]


@torch.no_grad()
def _load(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


@contextmanager
def _deterministic() -> Iterator[None]:
    """Deterministic kernels while training, so that the same run gives the same bits."""
    switches: Any = torch.utils.deterministic
    before, fill = torch.are_deterministic_algorithms_enabled(), switches.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    switches.fill_uninitialized_memory = False  # costs time, and only hides bugs
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        switches.fill_uninitialized_memory = fill
