"""The training loop: one for every objective, method and model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tunewright.base import events
from tunewright.base.errors import RecipeError, UnknownNameError
from tunewright.base.files import atomic_directory, hash_value
from tunewright.base.large_pages import large_pages
from tunewright.base.plugins import OPTIMISERS
from tunewright.base.seeds import derive
from tunewright.data.dataset import GENERAL
from tunewright.data.tokens import TokenTable
from tunewright.forest import Forest, layout
from tunewright.forest import Path as ForestPath
from tunewright.forest.coupled import Piece, joined, joined_scores
from tunewright.forest.edges import EdgeScores
from tunewright.forest.reference import Start, reference_logp
from tunewright.forest.score import grow, score
from tunewright.forest.virtual import virtual_count
from tunewright.models import heads
from tunewright.models.adapters import adapted, save_adapter
from tunewright.models.families import check_family, head_of
from tunewright.models.stored import StoredWeights
from tunewright.recipe.schema import Recipe
from tunewright.train import checkpoint
from tunewright.train.anchor import Anchor, fisher_information
from tunewright.train.checkpoint import Progress
from tunewright.train.compilation import Compilation
from tunewright.train.determinism import all_random_states, deterministic, seed_noise, set_own_random_state
from tunewright.train.diagnosis import Curves, Diagnosis, diagnose, diagnose_rewards
from tunewright.train.interrupt import Interrupt
from tunewright.train.kinship import kin
from tunewright.train.learn import learn
from tunewright.train.noise import check_noise, noisy_embeddings
from tunewright.train.objective import chosen_objective
from tunewright.train.offload import check_offload, kept_aside
from tunewright.train.optimiser import Optimiser
from tunewright.train.penalty import StepPenalty
from tunewright.train.ranks.deal import loss_of, own_pieces
from tunewright.train.ranks.group import ALONE, Ranks
from tunewright.train.ranks.sharding import gather, like, share_out, split_groups, total_norm, whole_of
from tunewright.train.ranks.sums import Sums, add_gradients
from tunewright.train.recompute import recompute_blocks
from tunewright.train.rollouts import REWARD, Rewards, Rollouts
from tunewright.train.rows import Rows, learned_paths, order_of
from tunewright.train.schedule import kept_steps, learning_rate, validation_steps
from tunewright.train.states import FrozenStates
from tunewright.train.trained import Trained, kept_adapter
from tunewright.train.watch import Watch

if TYPE_CHECKING:
    from tunewright.models.base import Base

# Scores of a model by name, each the higher the better. The loop knows nothing of how they are measured.
Validate = Callable[[Any], Mapping[str, float]]


def train(
    base: Base,
    tables: Mapping[str, TokenTable],
    recipe: Recipe,
    *,
    folder: Path,
    resume: bool = False,
    origin: Path | None = None,
    adapter: Path | None = None,
    validate: Validate | None = None,
    rewards: Rewards | None = None,
    listener: events.Listener = events.ignore,
    ranks: Ranks = ALONE,
) -> Trained:
    """Trains an adapter on a base model, which it wraps in place.

    Args:
        base: A freshly loaded base model.
        tables: Token tables "train" and, where there are such rows, "validation" and "general" (`forgetting.data`).
        recipe: What to do; `method`, `train`, `forgetting` and `seed` are read.
        folder: Where checkpoints and the adapter go.
        resume: Go on from the newest checkpoint in the folder, should there be one.
        origin: Folder of another run, to begin from its newest good checkpoint where there is none to resume. Rate,
            schedule and the like may differ from that run's.
        adapter: Folder of an adapter of this base and method, which learns on; None: a fresh one.
        validate: Scores the model at each validation; needed where `train.best` names one of its scores.
        rewards: Says what answers are worth; needed where the objective learns from answers that the model draws.
        listener: Hears a stage "train", and metrics at each step and each validation.
        ranks: This process's place among those that train together; the first one alone writes and measures.

    Raises:
        DataError: If there is nothing to learn from.
        RecipeError: If `train.best` names a score, and nothing measures it, or nothing says what answers are worth.
        TrainingDivergedError: If a loss or gradient is not finite, or the loss left its level for good; names the step,
            its rows and the last good checkpoint.
        DiskFullError: If a checkpoint finds no room; those before it are kept, and a resume goes on from them.
        RankLostError: If another process is gone.
        KeyboardInterrupt: After Ctrl-C, once the step is done and a checkpoint is written.
    """
    with deterministic(), large_pages(), ranks.watched(), Interrupt() as interrupt:
        around = _Around(validate, rewards, listener, ranks)
        session = _Session(base, tables, recipe, folder, adapter, around)
        if resume or origin:
            session.restore(origin)
        return session.run(interrupt)


@dataclass(frozen=True, slots=True)
class _Around:
    """What a run is given by whoever starts it; see `train`."""

    validate: Validate | None
    rewards: Rewards | None
    listener: events.Listener
    ranks: Ranks


class _Session:
    """One training run in memory: the model, its optimiser, and how far it has come."""

    def __init__(
        self,
        base: Base,
        tables: Mapping[str, TokenTable],
        recipe: Recipe,
        folder: Path,
        adapter: Path | None,
        around: _Around,
    ) -> None:
        config, forgetting = recipe.train, recipe.forgetting
        listener, ranks = around.listener, around.ranks
        self._base, self._recipe, self._listener, self._validator = base, recipe, listener, around.validate
        self._folder, self._config, self._ranks = folder, config, ranks
        check_family(base.files.kind, config.objective, recipe.method)
        self._objective = chosen_objective(config)
        self._rows = Rows(tables["train"], tables.get(GENERAL), needs_general=bool(forgetting.replay or forgetting.ewc))
        self._order = order_of(self._rows, recipe)
        self._kept_steps = kept_steps(self._order, config.keep_epochs)
        self._validate_after = validation_steps(self._order, config.validate_every) | self._kept_steps
        self._held_out = learned_paths(self._objective, None if config.draws else tables.get("validation"))
        check_noise(base.model, config.neftune_alpha)
        check_offload(config.offload, base.model.device)
        self._attention = layout.adopt(base.model, config.backend, longest=recipe.longest, listener=listener)
        self._model = adapted(base, recipe.method, seed=derive(recipe.seed, "adapter"), start=adapter)
        self._rollouts = self._drawing(tables.get("validation"), around.rewards)
        if config.best_score and self._validator is None:
            raise RecipeError(f"Nothing measures '{config.best}' while training", where="train.best", hint="Use loss.")
        self._sharded = share_out(self._model, recipe, self._objective, ranks)
        self._start = Start(self._model, learns_on=adapter is not None) if self._objective.needs_reference else None
        self._states = self._add_head(tables["train"].classes)
        if config.checkpointing == "layers":
            recompute_blocks(self._model)
        decay = config.weight_decay
        parts = OPTIMISERS.call(config.optimiser.name, "build", self._model, config.optimiser, weight_decay=decay)
        self._trained = {name: w for name, w in self._model.named_parameters() if w.requires_grad}
        stored = StoredWeights(base.files.folder, base.model.base_model_prefix).wider
        aside = config.offload == "optimiser"
        self._optimiser = Optimiser(self._trained, split_groups(parts), offloaded=aside, stored=stored)
        self._weights = self._optimiser.weights
        self._anchor = Anchor(self._weights, l2=forgetting.l2, ewc=forgetting.ewc)
        self._progress = Progress()
        self._watch = Watch(folder / checkpoint.FOLDER, recipe.learning_rate, self._rows, self._order, ranks)
        self._best: dict[str, Tensor] = {}
        self._compilation = Compilation(
            self._model, recipe, folder, self._add_gradient, self._weights, listener=listener, ranks=ranks
        )
        seed_noise(recipe.seed, ranks.rank)

    def _add_head(self, classes: tuple[str, ...]) -> FrozenStates | None:
        """Puts on the head of classes that the objective teaches, if any; the states below it where they are fixed."""
        name, base = head_of(self._config.objective), self._base
        if name:
            heads.provide(self._model, name, classes, seed=derive(self._recipe.seed, "head"), pooler=base.pooler)
        below = [w for key, w in self._model.named_parameters() if w.requires_grad and not heads.is_of_head(key)]
        if not name or below or self._config.neftune_alpha:
            return None
        return FrozenStates(self._model, self._folder / f"states-{self._ranks.rank}.bin")

    def _drawing(self, held_out: TokenTable | None, rewards: Rewards | None) -> Rollouts | None:
        """What draws the answers that the objective learns from, if it does; held-out rows are answered as well."""
        if not self._config.draws:
            return None
        if rewards is None:
            raise RecipeError("Nothing says what answers are worth", where="train.objective.grader", hint="Name one.")
        drawing = Rollouts(
            self._base,
            self._model,
            self._recipe,
            rewards,
            folder=self._folder,
            rows=self._rows,
            order=self._order,
            listener=self._listener,
            ranks=self._ranks,
        )
        asked = self._validator
        if held_out is not None and len(held_out):
            self._validator = lambda model: {**drawing.validate(held_out), **(asked(model) if asked else {})}
        return drawing

    @property
    def _fingerprint(self) -> str:
        """What a checkpoint belongs to: training settings, data in tokens, base weights."""
        settings = self._recipe.model_dump(mode="json", include={"seed", "adapter", "method", "train", "forgetting"})
        # Neither when a state is saved, nor by how many, nor what is kept beside it.
        for name in ("checkpoint_every_s", "keep_epochs", "processes", "sharding"):
            settings["train"].pop(name)
        settings["train"]["learning_rate"] = self._recipe.learning_rate
        settings["train"] |= {"backend": self._attention.backend, "device": self._base.model.device.type}
        return hash_value([settings, self._rows.tables, self._base.files.weights_hash])

    @property
    def _kin(self) -> str:
        return kin(self._recipe, self._rows.tables, self._base.files.weights_hash)

    def run(self, interrupt: Interrupt) -> Trained:
        """Steps until the end, until patience runs out, or until Ctrl-C."""
        started = saved = time.monotonic()
        progress, order = self._progress, self._order
        self._listener(events.Stage("train", "started", progress.step, order.steps, "steps"))
        for text in self._rows.told:
            self._listener(events.Message(text))
        self._prepare_forgetting()
        while progress.step < order.steps and not self._out_of_patience():
            self._compilation.before_step(progress.step, order.steps)
            self._step()
            if progress.step in self._validate_after:
                self._validate()
            if progress.step in self._kept_steps:
                self._write_adapter(kept_adapter(self._folder, progress.step))
            far_above = 0 if self._rollouts else self._watch.level(progress)
            now = time.monotonic()
            # While the loss is far above its level no checkpoint is due: the last one is from before.
            due = now - saved >= self._config.checkpoint_every_s and not far_above
            asked, due = self._ranks.agree(asked=interrupt.asked, due=due)
            if asked or due or progress.step == order.steps:
                self._save()
                saved = now
            if asked:
                raise KeyboardInterrupt
        adapter, diagnosis = self._finish(), self._diagnose()
        self._listener(events.Stage("train", "finished", progress.step, order.steps, "steps"))
        return Trained(
            adapter=adapter,
            progress=progress,
            steps=order.steps,
            stopped_early=progress.step < order.steps,
            trainable=sum(w.numel() for w in self._weights.values()),
            diagnosis=diagnosis,
            seconds=time.monotonic() - started,
        )

    def _prepare_forgetting(self) -> None:
        """Tells of the general rows, and measures which weights they need where those are to be kept."""
        order, forgetting = self._order, self._recipe.forgetting
        if order.replayed:
            told = f"Each epoch learns from {order.drawn:,} training rows and {order.replayed:,} general ones"
            self._listener(events.Message(f"{told}, of {order.general:,} there are."))
        if forgetting.ewc and not self._anchor.fisher:
            paths = self._rows.general_paths(forgetting.fisher_rows, derive(self._recipe.seed, "fisher"))
            self._listener(events.Stage("fisher information", "started", 0, len(paths), "rows"))
            self._anchor.fisher = fisher_information(self._trained, self._general_losses(paths))
            self._listener(events.Stage("fisher information", "finished", len(paths), len(paths), "rows"))

    def _general_losses(self, paths: list[ForestPath]) -> Iterator[Tensor]:
        """Each path's negative log-likelihood."""
        self._model.eval()
        for done, path in enumerate(paths):
            self._listener(events.Stage("fisher information", "progress", done, len(paths), "rows"))
            forest = grow(self._model, [path])
            logp = score(self._model, forest).logp
            yield -(logp * logp.new_tensor(forest.edge_weight())).sum()

    def restore(self, origin: Path | None = None) -> None:
        """Takes up the newest undamaged checkpoint, if there is one: the run's own, else that of its origin."""
        place = self._folder / checkpoint.FOLDER
        found = self._ranks.after_first(lambda: checkpoint.latest(place, self._fingerprint, self._listener))
        if found is None and origin is not None:
            found = checkpoint.borrow(origin / checkpoint.FOLDER, self._kin)
        if found is None:
            return
        self._progress, tensors = found
        self._optimiser.put(like(tensors["weights"], self._weights))
        self._best = like(tensors.get("best", {}), self._weights)
        self._optimiser.restore(like(tensors.get("optimiser", {}), self._weights))
        self._anchor.fisher = tensors.get("fisher", {})
        set_own_random_state(tensors["random"], self._ranks.rank, derive(self._recipe.seed, self._progress.step))
        self._listener(events.Message(f"Resumed after step {self._progress.step} of {self._order.steps}."))

    def _step(self) -> None:
        """One optimiser step: a forest, cut into pieces whose gradients add up."""
        progress, started = self._progress, time.monotonic()
        rows = self._order.of_step(progress.step)
        rate = learning_rate(progress.step, self._order.steps, self._recipe.learning_rate, self._config)
        self._optimiser.zero_grad()
        own, added = self._add_gradient(progress.step)
        sums = own.over(self._ranks)
        add_gradients(self._ranks, self._weights)
        penalty, norm = self._scale_gradients(sums.weight)
        loss = sums.loss / sums.weight
        self._watch.finite(loss, "loss", progress.step + 1)
        self._watch.finite(norm, "gradient", progress.step + 1)
        self._optimiser.step(rate)
        progress.step += 1
        progress.train.append((progress.step, loss, rate, norm))
        draw = self._rollouts.of_step(progress.step - 1) if self._rollouts else None
        attempts = draw.attempts if draw else [()] * len(rows)
        tokens = sum(map(self._rows.tokens, rows, attempts))
        progress.tokens += tokens
        seconds = time.monotonic() - started
        self._compilation.took(seconds)
        values = {
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "nodes": float(sums.nodes),
            "tokens": float(tokens),
            "examples_per_s": len(rows) / seconds,
            **{name: total / sums.weight for name, total in sums.reported.items()},
            **added.reported(),
        }
        if draw:
            values |= draw.told
            progress.rewards.append((progress.step, draw.told[REWARD]))
        if self._order.replayed:
            values["replayed"] = float(sum(row >= self._rows.own for row in rows))
        if self._anchor.is_set:
            values["anchor"] = penalty
        self._listener(events.Metrics("train", progress.step, self._order.steps, values))

    def _add_gradient(self, step: int) -> tuple[Sums, StepPenalty]:
        """Adds this process's gradient of a step, counted from 0, not yet divided by the step's weight."""
        self._model.train()
        own = Sums()
        pieces = self._pieces(self._paths(step))
        added = StepPenalty(self._model, pieces, self._noisy_score, self._objective.loss, self._ranks)
        for number, piece in enumerate(pieces):
            loss_fn = loss_of(piece, self._objective.loss)
            own.count(learn(piece, partial(self._noisy_score, number), loss_fn, added), piece.nodes)
        return own, added

    def _paths(self, step: int) -> list[ForestPath]:
        """The paths of a step, counted from 0; where answers are drawn, those of the step's draw."""
        attempts = self._rollouts.of_step(step).attempts if self._rollouts else None
        return self._rows.paths(self._objective, self._order.of_step(step), attempts)

    def _pieces(self, paths: list[ForestPath]) -> list[Piece]:
        """This process's share of some paths, cut under the budget; each piece with its reference, if one is needed."""
        limits = self._config.piece_nodes, virtual_count(self._model)
        pieces = own_pieces(paths, *limits, self._ranks, even=self._sharded, shared=layout.shares(self._model))
        if self._start is None:
            return pieces
        forests = [part.forest for piece in pieces for part in piece.parts]
        found = iter(reference_logp(self._start, forests))
        return [replace(piece, reference=joined(piece, [next(found) for _ in piece.parts])) for piece in pieces]

    def _noisy_score(self, piece: int, part: int, forest: Forest) -> EdgeScores:
        """Scores of a part of a step's piece, with all the noise there is; the same however often it is called."""
        config = self._config
        place = piece * self._ranks.world + self._ranks.rank
        seed = derive(self._recipe.seed, "embeddings", self._progress.step, place, *([part] if part else []))
        with noisy_embeddings(self._model, forest, alpha=config.neftune_alpha, seed=seed), kept_aside(config.offload):
            return self._score(forest, smoothing=config.label_smoothing)

    def _score(self, forest: Forest, *, smoothing: float = 0.0) -> EdgeScores:
        """Scores of a forest's edges, from states that were kept where these do not change."""
        if self._states is not None:
            return self._states.score(forest, smoothing=smoothing)
        return score(self._model, forest, smoothing=smoothing)

    def _scale_gradients(self, weight: float) -> tuple[float, float]:
        """Divides the summed gradients by the step's weight, adds the anchor's pull, and clips them, in as few passes.

        Returns:
            The anchor's part of the loss, and the gradients' length before they were clipped.
        """
        gradients = [w.grad for w in self._weights.values() if w.grad is not None]
        penalty = 0.0
        if self._anchor.is_set:  # what it adds is not part of the sum
            for gradient in gradients:
                gradient.div_(weight)
            penalty, weight = self._anchor.pull(), 1.0
        norm, most = total_norm(gradients) / weight, self._config.clip_norm
        factor = (most / norm if norm > most else 1.0) / weight
        for gradient in gradients:
            gradient.mul_(factor)
        return penalty, norm

    def _validate(self) -> None:
        """Measures the held-out loss and the pipeline's scores, and remembers the best weights."""
        progress = self._progress
        values = self._held_out_values() if self._held_out else {}
        if values:
            progress.validation.append((progress.step, values["loss"]))
            self._watch.finite(values["loss"], "validation loss", progress.step, weights_of=progress.step)
        scores = self._scores()
        if scores:
            progress.scores.append((progress.step, scores))
        if not values and not scores:
            return
        told = {f"validation_{name}": value for name, value in (scores | values).items()}
        self._listener(events.Metrics("train", progress.step, self._order.steps, {**told, "validated": 1.0}))
        best = self._config.chosen_by
        if best == "last" or (best == "loss" and not values):
            return
        standing = -values["loss"] if best == "loss" else scores[best]
        if progress.best_standing is None or standing > progress.best_standing:
            progress.best_standing, progress.best_step, progress.waited = standing, progress.step, 0
            progress.best_loss = values.get("loss")
            self._optimiser.keep(self._best)
        else:
            progress.waited += 1

    def _scores(self) -> dict[str, float]:
        """What the pipeline measures; it may draw random numbers without changing the run's."""
        if self._validator is None:
            return {}
        self._model.eval()
        with torch.random.fork_rng():
            measured = dict(self._validator(self._model)) if self._ranks.is_first else None
        scores: dict[str, float] = self._ranks.tell(measured)
        if self._config.chosen_by not in {"loss", "last", *scores}:
            raise UnknownNameError("score", self._config.best, {"loss", *scores}, where="train.best")
        return scores

    @cached_property
    def _held_out_pieces(self) -> list[Piece]:
        """Neither they nor their references change in a run."""
        return self._pieces(self._held_out)

    @torch.no_grad()
    def _held_out_values(self) -> dict[str, float]:
        """The held-out loss, and what else the objective tells of it."""
        self._model.eval()
        own = Sums()
        for piece in self._held_out_pieces:
            scores = joined_scores(piece, lambda _, forest: self._score(forest))
            own.count(loss_of(piece, self._objective.loss)(scores, piece.whole), piece.nodes)
        sums = own.over(self._ranks)
        told = {name: total / sums.weight for name, total in sums.reported.items()}
        return {**told, "loss": sums.loss / sums.weight}

    def _out_of_patience(self) -> bool:
        return self._progress.waited >= self._config.patience

    def _save(self) -> None:
        tensors = {
            "weights": {name: w.detach() for name, w in self._weights.items()},
            "optimiser": self._optimiser.tensors(),
            "fisher": self._anchor.fisher,
            "random": all_random_states(self._ranks),
            "best": self._best,
        }
        held = {name: {key: whole_of(each) for key, each in group.items()} for name, group in tensors.items() if group}
        if self._ranks.is_first:
            checkpoint.save(self._folder / checkpoint.FOLDER, self._progress, held, self._fingerprint, kin=self._kin)

    def _diagnose(self) -> Diagnosis:
        """What the curves say, told to whoever listens."""
        progress, order = self._progress, self._order
        train = [(step, loss) for step, loss, _, _ in progress.train]
        if self._rollouts:
            held_out = [(step, scores[REWARD]) for step, scores in progress.scores if REWARD in scores]
            found = diagnose_rewards(progress.rewards, held_out)
        else:
            found = diagnose(Curves(train, progress.validation, order.steps_an_epoch, planned=order.steps))
        wrong = found.verdict in ("overfitting", "underfitting")
        self._listener(events.Message(str(found), "warning" if wrong else "info"))
        return found

    def _finish(self) -> Path:
        """Puts the best weights back and writes the adapter."""
        if self._best:
            self._optimiser.put(self._best)
        self._compilation.finish()
        self._model.eval()
        if self._states is not None:
            self._states.close()
        gather(self._model, keep=self._ranks.is_first)
        return self._write_adapter(self._folder / "adapter")

    def _write_adapter(self, place: Path) -> Path:
        """Writes the weights as they are, unless they are there."""
        if self._ranks.is_first and not place.exists():
            with atomic_directory(place) as temporary:
                save_adapter(
                    self._model,
                    temporary,
                    method=self._recipe.method,
                    base=self._base.files,
                    chat_fingerprint=self._base.chat.fingerprint,
                )
        return place
