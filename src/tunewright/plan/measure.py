"""One worst-length step, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base.errors import TunewrightError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.files import read_json, write_json
from tunewright.plan.step import JOB, MEASURED, REPEATS, ROWS
from tunewright.plan.work import Load, Steps, Work, load_of

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenRow, TokenTable
    from tunewright.recipe import Recipe

# A token that every vocabulary has; the rows stand for others of their length.
_LOWEST_TOKEN, _TOKENS = 3, 200
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Measured:
    """What one worst-length step took, in a process of its own.

    Args:
        peak_bytes: Largest resident memory; 0 where the system ended the process for want of memory.
        imported_bytes: Resident memory once the libraries were loaded.
        loaded_bytes: With the base model.
        step_s: Seconds of the step, once everything is in place.
        nodes: Forest nodes of the step.
        load: What the step computes.
    """

    peak_bytes: int
    imported_bytes: int = 0
    loaded_bytes: int = 0
    step_s: float = 0.0
    nodes: int = 0
    load: Load | None = None

    @property
    def was_killed(self) -> bool:
        """Whether memory ran out."""
        return not self.peak_bytes


def measure_step(
    recipe: Recipe, work: Work, tables: Mapping[str, TokenTable], cache: Path, listener: Listener = ignore
) -> Measured:
    """Trains on the rows of the worst step, twice, in a fresh process, as training would.

    Args:
        recipe: What to measure.
        work: What its rows make of it.
        tables: Its rows' tokens; empty where they are not known: rows of the longest length stand for them.
        cache: Where base models lie; the base is fetched if it is not there.
        listener: Hears of the stage "measure".
    Raises:
        TunewrightError: If the process ended with an error of its own.
    """
    import torch

    rows = _rows_of(recipe, work, tables)
    listener(Stage("measure", "started", 0, REPEATS, "steps"))
    with TemporaryDirectory(prefix="tunewright-measure-") as name:
        folder = Path(name)
        threads = torch.get_num_threads()
        write_json(folder / JOB, {"recipe": _one_step(recipe, len(rows)), "cache": str(cache), "threads": threads})
        np.savez(folder / ROWS, **_arrays(rows))
        done = subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-m", "tunewright.plan.step", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode in (-9, 137):
            return Measured(peak_bytes=0)
        if done.returncode:
            raise TunewrightError(
                f"The step that was to be measured failed\n{_last_lines(done.stderr)}",
                where=recipe.name,
                hint="Training would fail in the same way.",
            )
        found = read_json(folder / MEASURED)
    listener(Stage("measure", "finished", REPEATS, REPEATS, "steps"))
    return Measured(
        peak_bytes=int(found["peak_bytes"]),
        imported_bytes=int(found["imported_bytes"]),
        loaded_bytes=int(found["loaded_bytes"]),
        step_s=float(found["step_s"]),
        nodes=int(found["nodes"]),
        load=_load(recipe, work, tables),
    )


def _load(recipe: Recipe, work: Work, tables: Mapping[str, TokenTable]) -> Load:
    """What the worst step computes."""
    if not tables:
        return load_of([work.worst])
    return load_of(Steps(recipe, tables).pieces(work.worst_step))


def _rows_of(recipe: Recipe, work: Work, tables: Mapping[str, TokenTable]) -> list[TokenRow]:
    """The rows of the worst step, or made ones as long as rows may be."""
    from tunewright.data.tokens import TokenRow

    if tables:
        steps = Steps(recipe, tables)
        return steps.rows_of(work.worst_step)
    length, dice = recipe.data.max_length, np.random.default_rng(recipe.seed)
    weights = np.r_[0.0, np.ones(length - 1)].astype(np.float32)
    drawn = dice.integers(_LOWEST_TOKEN, _LOWEST_TOKEN + _TOKENS, (recipe.train.batch_size, length))
    return [TokenRow(tokens.astype(np.int32), weights) for tokens in drawn]


def _one_step(recipe: Recipe, rows: int) -> dict[str, Any]:
    """The recipe with just these rows to learn from, all in one step."""
    asked = recipe.model_dump(mode="json")
    asked["train"] |= {"batch_size": rows, "epochs": REPEATS, "validate_every": 1, "best": "loss", "patience": REPEATS}
    held = recipe.forgetting.l2 or recipe.forgetting.ewc
    asked["forgetting"] = {"l2": held}  # keeps the weights as they were, as either of them does; there is no replay
    return asked


def _arrays(rows: Sequence[TokenRow]) -> dict[str, Any]:
    arrays = _joined(rows, "")
    if any(row.rejected is not None for row in rows):
        others = [row.rejected if row.rejected is not None else _empty() for row in rows]
        arrays |= _joined(others, "rejected_")
    if rows[0].classes:
        told = ("targets", "types")
        arrays |= {name: np.concatenate([_or_zeros(getattr(row, name), row) for row in rows]) for name in told}
        arrays |= {"classes": np.array(rows[0].classes), "both_ways": np.array(rows[0].both_ways)}
    return arrays


def _or_zeros(numbers: Any, row: TokenRow) -> Any:
    return np.zeros(len(row.tokens), np.int32) if numbers is None else numbers


def _joined(rows: Sequence[TokenRow], prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}starts": np.cumsum([0, *(len(row.tokens) for row in rows)]),
        f"{prefix}tokens": np.concatenate([row.tokens for row in rows]),
        f"{prefix}weights": np.concatenate([row.weights for row in rows]),
    }


def _empty() -> TokenRow:
    from tunewright.data.tokens import TokenRow

    return TokenRow(np.empty(0, np.int32), np.empty(0, np.float32))


def _last_lines(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-_SHOWN_LINES:])
