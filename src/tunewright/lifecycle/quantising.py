"""What quantising a base costs before anything has learned: its loss as it came, and as it is trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base.events import Message, Metrics, Stage
from tunewright.base.plugins import METHODS
from tunewright.base.seeds import derive
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.preparing import token_tables
from tunewright.models.families import head_of

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenTable
    from tunewright.forest import Path
    from tunewright.models.base import Base

ROWS = 64  # a difference of some hundredths of a nat shows on so many
_STAGE = "quantisation"


@dataclass(frozen=True, slots=True)
class Gap:
    """Both losses, in nats a learned token.

    Args:
        full: Of the base as it came.
        quantised: Of the base as it is trained on.
        bits: Of a weight, then.
        part: Which rows they were measured on: `validation`, or `train` where there are no such.
        rows: How many.
        of: How many there are.
    """

    full: float
    quantised: float
    bits: int
    part: str
    rows: int
    of: int

    def __str__(self) -> str:
        more = f"{self.quantised - self.full:+.3f}"
        return (
            f"loss {self.full:.3f} as it is, {self.quantised:.3f} in {self.bits} bits ({more} nats a token), on "
            f"{self.rows:,} of {self.of:,} {self.part} rows"
        )


def quantisation_gap(job: Job, base: Base) -> Gap | None:
    """Measures a base before and after it is quantised, once in a run's life.

    None where the method leaves the base as it is, or where a head of classes learns: before it has learned, there is
    no loss to speak of.

    It is told, and kept in the run's manifest as `quantisation`. The base is quantised in place, as the method's
    `attach` takes it.
    """
    method = job.recipe.method
    if not hasattr(METHODS.module(method.plugin), "quantisation_gap") or head_of(job.recipe.train.objective):
        return None
    kept = gap_of(job)
    if kept is not None:
        return kept
    from tunewright.forest import layout, score_paths

    part, table = _rows(token_tables(job))
    paths = _paths(table, derive(job.recipe.seed, _STAGE))
    weight = sum(float(path.weights.sum()) for path in paths)

    def loss(model: Any) -> float:
        layout.adopt(model)
        return -float(score_paths(model, paths, node_budget=job.recipe.train.piece_nodes).sum()) / weight

    job.tell(Stage(_STAGE, "started"))
    found = METHODS.call(method.plugin, "quantisation_gap", base.model, method, loss)
    gap = Gap(found.full, found.quantised, method.model_dump()["bits"], part, len(paths), len(table))
    job.run.update_manifest(quantisation=asdict(gap))
    job.tell(Metrics(_STAGE, 1, 1, {"full_loss": gap.full, "quantised_loss": gap.quantised}))
    job.tell(Stage(_STAGE, "finished"))
    job.tell(Message(f"Quantising the base: {gap}."))
    return gap


def gap_of(job: Job) -> Gap | None:
    """What was measured in this run; None where nothing was."""
    kept = job.run.manifest.get("quantisation")
    return None if kept is None else Gap(**kept)


def _rows(tables: dict[str, TokenTable]) -> tuple[str, TokenTable]:
    """The validation rows; the training rows where no token of those is learned."""
    held_out = tables["validation"]
    has_any = any(held_out.weights(row).any() for row in range(len(held_out)))
    return ("validation", held_out) if has_any else ("train", tables["train"])


def _paths(table: TokenTable, seed: int) -> list[Path]:
    """Some rows that have something to learn, drawn with a seed; of pairs the chosen answer."""
    from tunewright.forest import Path

    learned = [row for row in range(len(table)) if table.weights(row).any()]
    drawn = np.random.default_rng(seed).permutation(learned)[:ROWS]
    return [Path(table.tokens(row), table.weights(row), place, place) for place, row in enumerate(drawn.tolist())]
