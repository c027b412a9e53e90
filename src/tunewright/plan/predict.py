"""`plan`: what a recipe takes in memory, time and disk, as it stands and beside full training, LoRA and QLoRA."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, ignore
from tunewright.base.plugins import METHODS, OBJECTIVES, PluginConfig
from tunewright.models.memory import (
    Estimate,
    Keeping,
    ModelSize,
    Piece,
    Sparing,
    estimate_training_bytes,
)
from tunewright.models.treatment import BYTES, Treatment, treat
from tunewright.plan.bases import base_size, models_cache
from tunewright.plan.devices import Device, find_device, for_each
from tunewright.plan.rows import Found, find_rows
from tunewright.plan.work import Load, Work, work_assumed, work_of_rows
from tunewright.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from tunewright.plan.fit import Change
    from tunewright.plan.measure import Measured
    from tunewright.store import Workspace

SIDE_BY_SIDE = ("full", "lora", "qlora")
# What each optimiser keeps for each trained weight; Adafactor keeps a row and a column of each matrix.
_KEPT_NUMBERS = {"adamw": 2.0, "muon": 1.0, "sgd": 1.0, "adafactor": 0.0}
# Checkpoints that lie on the disk at once: `train.checkpoint.KEPT`, and the one being written.
_CHECKPOINTS = 3
# An adapter lies in its run's folder, and in its artifact.
_ADAPTERS = 2
_TOKEN_BYTES = 8
# Bytes of a weight, its gradient and AdamW's two numbers; in mixed precision a float32 copy of the weight besides.
REGIMES = {
    18: "bfloat16 with gradients and a copy in float32, as here",
    16: "all in float32, or the same with gradients in bfloat16",
    12: "bfloat16, AdamW's two numbers in float32",
    8: "all in bfloat16",
}


@dataclass(frozen=True)
class Option:
    """One way to train.

    Args:
        name: "recipe" for the recipe as it stands, else the method.
        method: The method's settings.
        memory: Bytes at the peak, by cause.
        fits: Whether that is no more than the device has.
        seconds: Training and validating; 0 where the number of rows is not known.
        disk_bytes: Checkpoints, adapter and tokens.
        trained: Weights that are trained.
        regime: What a weight costs, in words.
    """

    name: str
    method: PluginConfig
    memory: Estimate
    fits: bool
    seconds: float
    disk_bytes: int
    trained: int
    regime: str

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "method": self.method.model_dump(mode="json"),
            "peak_bytes": self.memory.total,
            "memory": self.memory.causes(),
            "fits": self.fits,
            "seconds": self.seconds,
            "disk_bytes": self.disk_bytes,
            "trained": self.trained,
            "regime": self.regime,
        }


@dataclass(frozen=True)
class Plan:
    """What a recipe takes.

    Args:
        recipe: The recipe.
        size: Its base model's size.
        device: Where it is to run.
        dtype: Of the base's weights and the activations there.
        work: What has to be computed.
        note: How the rows were found, or why they were not.
        options: The recipe as it stands, and behind it the methods to compare it with.
        disk_free_bytes: Room on the workspace's disk.
        changes: Where it does not fit: what would make it fit, the least change first.
        measured: What one worst-length step took, where that was asked for.
    """

    recipe: Recipe
    size: ModelSize
    device: Device
    dtype: str
    work: Work
    note: str
    options: tuple[Option, ...]
    disk_free_bytes: int
    changes: tuple[Change, ...] = ()
    measured: Measured | None = None

    @property
    def as_recipe(self) -> Option:
        """The recipe as it stands."""
        return self.options[0]

    @property
    def fits_memory(self) -> bool:
        """Whether memory suffices: by measurement where there is one, else by the account."""
        if self.measured is None:
            return self.as_recipe.fits
        return not self.measured.was_killed and self.measured.peak_bytes <= self.device.memory_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether the disk has room for checkpoints, adapter and tokens."""
        return self.as_recipe.disk_bytes <= self.disk_free_bytes

    @property
    def fits(self) -> bool:
        """Whether it can be trained."""
        return self.fits_memory and self.fits_disk

    @property
    def error(self) -> float | None:
        """How far the account is from the measurement, as a share of it."""
        if self.measured is None or self.measured.was_killed:
            return None
        return self.as_recipe.memory.total / self.measured.peak_bytes - 1

    def as_json(self) -> dict[str, Any]:
        """The plan as `tunewright plan --json` prints it."""
        return {
            "recipe": self.recipe.name,
            "base": self.recipe.base,
            "parameters": self.size.parameters,
            "device": self.device.model_dump(mode="json"),
            "dtype": self.dtype,
            "work": asdict(self.work),
            "note": self.note,
            "options": [option.as_json() for option in self.options],
            "full_state_bytes": {str(each): total for each, total in full_state_bytes(self.size).items()},
            "disk_free_bytes": self.disk_free_bytes,
            "fits": self.fits,
            "changes": [change.as_json() for change in self.changes],
            "measured": None if self.measured is None else {**asdict(self.measured), "error": self.error},
        }


def plan(
    recipe: str | Path | Recipe,
    *,
    device: str | None = None,
    workspace: Workspace | None = None,
    measured: bool = False,
    listener: Listener = ignore,
) -> Plan:
    """Forecasts memory, time and disk of a recipe's training; nothing is trained and no artifact is stored.

    Args:
        recipe: A recipe file's path, or a loaded recipe.
        device: A card of `devices.yaml`; None: this machine.
        workspace: Where prepared rows, finished runs and base models may lie; None where there is none.
        measured: Also do one worst-length step in a process of its own; on this machine only.
        listener: Hears how far reading, tokenising and measuring are.

    Raises:
        UnknownNameError: If there is no such device.
        InputError: If the base is not here and its size is not known, or a step is to be measured that cannot be.
        DataError: If the rows are wrong.
    """
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    from tunewright.plan.settle import settle

    where = for_each(find_device(device), loaded)
    if measured and not where.is_here:
        raise InputError(
            "A step can be measured on this machine only", where="--measure", hint="Leave --device out, or --measure."
        )
    if measured and loaded.train.draws:
        raise InputError(
            f"'{loaded.train.objective.plugin}' draws answers, and what will be drawn is not known before it is",
            where="--measure",
            hint="Leave it out: the forecast takes every answer to be as long as it may get.",
        )
    cache = models_cache(workspace)
    size = base_size(loaded.base, cache)
    with find_rows(loaded, workspace, cache, listener) as found:
        forecast = Forecast(_settled(Forecast(loaded, size, where, found)), size, where, found)
        forecast = Forecast(settle(forecast).recipe, size, where, found)
        result = forecast.plan(_disk_free(workspace))
        if measured:
            result = _with_measurement(result, found, cache, listener)
        if result.fits_memory:
            return result
        from tunewright.plan.fit import changes

        return replace(result, changes=changes(forecast, _wanted_bytes(result)))


class Forecast:
    """Forecasts of one recipe's variants: other settings, other methods, other bases.

    Args:
        recipe: The recipe as it stands.
        size: Its base's size.
        device: Where it is to run.
        found: Its rows.
    """

    def __init__(self, recipe: Recipe, size: ModelSize, device: Device, found: Found) -> None:
        self.recipe, self.size, self.device, self.found = recipe, size, device, found

    def plan(self, disk_free_bytes: int) -> Plan:
        """The recipe as it stands, and the methods to compare it with."""
        recipe = self.recipe
        work = self.work(recipe)
        compared = [method_like(recipe.method, name) for name in SIDE_BY_SIDE if name != recipe.method.plugin]
        options = [self.option("recipe", recipe, work)]
        options += [self.option(m.plugin, recipe.model_copy(update={"method": m}), work) for m in compared]
        return Plan(
            recipe=recipe,
            size=self.size,
            device=self.device,
            dtype=self.dtype(recipe),
            work=work,
            note=self.found.note,
            options=tuple(options),
            disk_free_bytes=disk_free_bytes,
        )

    def dtype(self, recipe: Recipe) -> str:
        """Of the base's weights and the activations, on the device."""
        return self.device.dtype if recipe.train.dtype == "auto" else recipe.train.dtype

    def work(self, recipe: Recipe) -> Work:
        """What a recipe's steps compute; its worst piece is that which takes the most memory with its own method."""
        if not self.found.tables:
            return work_assumed(recipe, self.found.rows)
        return work_of_rows(recipe, self.found.tables, lambda piece: self.memory(recipe, piece).total)

    def memory(self, recipe: Recipe, piece: Piece, size: ModelSize | None = None) -> Estimate:
        """Peak memory of training on a piece, by cause."""
        size, dtype = size or self.size, self.dtype(recipe)
        validates = bool(self.found.tables.get("validation")) or not self.found.tables
        return estimate_training_bytes(
            size,
            treat(size, recipe.method, dtype),
            piece,
            dtype=dtype,
            keeping=Keeping(
                kept_numbers(recipe.train.optimiser),
                best=validates,
                start=bool(recipe.forgetting.l2 or recipe.forgetting.ewc),
                reference=needs_reference(recipe),
                learns_on=bool(recipe.adapter),
            ),
            machine=self.device.machine,
            sparing=Sparing(recipe.train.checkpointing == "layers", recipe.train.offload),
        )

    def option(self, name: str, recipe: Recipe, work: Work) -> Option:
        """What one way to train takes."""
        dtype = self.dtype(recipe)
        treatment = treat(self.size, recipe.method, dtype)
        memory = self.memory(recipe, work.worst)
        kept = kept_numbers(recipe.train.optimiser)
        flops = training_flops(self.size, treatment, work, recomputed=recipe.train.checkpointing == "layers")
        return Option(
            name=name,
            method=recipe.method,
            memory=memory,
            fits=memory.total <= self.device.memory_bytes,
            seconds=flops / self.device.flops(dtype),
            disk_bytes=disk_bytes(treatment, work, kept),
            trained=treatment.trained,
            regime=regime(self.size, treatment, dtype, kept),
        )


def kept_numbers(optimiser: PluginConfig) -> float:
    """Numbers that an optimiser keeps for each trained weight; of one that is not known, as AdamW."""
    if optimiser.plugin == "sgd" and not optimiser.model_dump()["momentum"]:
        return 0.0
    return _KEPT_NUMBERS.get(optimiser.plugin, _KEPT_NUMBERS["adamw"])


def needs_reference(recipe: Recipe) -> bool:
    """Whether the recipe's objective compares the model with what it was before training."""
    asked = recipe.train.objective
    return bool(OBJECTIVES.call(asked.plugin, "build", asked).needs_reference)


def training_flops(size: ModelSize, treatment: Treatment, work: Work, *, recomputed: bool = False) -> float:
    """Operations of a whole training: two a weight forward, two for the states' gradients, two for the weights' own.

    The head runs forward and backward on sources alone, forward once more where it is trained; attention costs four
    operations a pair and query number forward, and ten backward, which computes its products again. Blocks that are
    computed again run forward twice.
    """
    passes = (6 if treatment.is_own else 4) + 2 * recomputed
    head_passes = 8 if treatment.is_own else 4
    linear, head, attention = size.linear_parameters, size.vocabulary * size.hidden, size.layers * size.query_width

    def flops(load: Load, linear_passes: float, head_passes: float, attention_passes: float) -> float:
        return (
            load.nodes * (linear_passes * linear)
            + load.nodes * 3 * linear_passes / 4 * treatment.trained * (not treatment.is_own)
            + load.sources * head_passes * head
            + load.pairs * attention_passes * attention
        )

    return flops(work.training, passes, head_passes, 14 + 4 * recomputed) + flops(work.validating, 2, 2, 4)


def disk_bytes(treatment: Treatment, work: Work, kept: float) -> int:
    """What a training leaves on the disk while it runs: checkpoints, the adapter twice, and the rows' tokens."""
    trained = treatment.trained * treatment.trained_bytes
    a_checkpoint = trained * (1 + kept + 1)  # weights, optimiser, the best weights
    return round(_CHECKPOINTS * a_checkpoint + _ADAPTERS * trained + _TOKEN_BYTES * work.tokens)


def regime(size: ModelSize, treatment: Treatment, dtype: str, kept: float) -> str:
    """What a weight costs, in words: the figure behind the figures."""
    number = treatment.trained_bytes
    narrow = BYTES[dtype] if treatment.is_own and BYTES[dtype] < number else 0
    state = narrow + number * (2 + kept)
    weight = f"weight {narrow} and its float32 master {number}" if narrow else f"weight {number}"
    parts = f"{weight}, gradient {number}, optimiser {number * kept:g}"
    if treatment.is_own and treatment.trained == size.parameters:
        return f"{state:g} bytes a parameter ({parts})"
    held = treatment.base_bytes / size.parameters
    share = treatment.trained / size.parameters
    kind = "a trained weight" if treatment.is_own else "an adapter's"
    return f"{held:.2g} bytes a parameter of the base, {state:g} {kind} ({parts}), of which there are {share:.2%}"


def full_state_bytes(size: ModelSize) -> dict[int, int]:
    """Weights, gradients and AdamW's numbers of training in full, by what they cost together a parameter."""
    return {each: each * size.parameters for each in REGIMES}


def method_like(method: PluginConfig, name: str) -> PluginConfig:
    """Another method, with this one's rank where both have one."""
    known, rank = METHODS.config(name), method.model_dump().get("rank")
    return known.model_validate({"name": name} | ({"rank": rank} if rank and "rank" in known.model_fields else {}))


def _settled(forecast: Forecast) -> Recipe:
    """The recipe with the method that `method: auto` would choose now; any other as it is."""
    from tunewright.models.methods.auto import Means, choose

    recipe, tables = forecast.recipe, forecast.found.tables
    if recipe.method.plugin != "auto" or not tables:
        return recipe
    worst = forecast.work(recipe).worst
    means = Means(
        available=forecast.device.memory_bytes,
        peak=lambda method: forecast.memory(recipe.model_copy(update={"method": method}), worst).total,
        quantises=importlib.util.find_spec("bitsandbytes") is not None,
    )
    learned = [int((tables["train"].weights(row) != 0).sum()) for row in range(len(tables["train"]))]
    choice = choose(forecast.size, rows=sum(count > 0 for count in learned), learned=sum(learned), means=means)
    return recipe.model_copy(update={"method": choice.config})


def _with_measurement(result: Plan, found: Found, cache: Path | None, listener: Listener) -> Plan:
    """The plan with its worst step done, and all times by that step's pace."""
    from tunewright.plan.measure import measure_step

    with TemporaryDirectory(prefix="tunewright-cache-") as folder:
        measured = measure_step(result.recipe, result.work, found.tables, cache or Path(folder), listener)
    if measured.load is None:  # the process was ended for want of memory
        return replace(result, measured=measured)
    step = replace(result.work, training=measured.load, validating=Load())
    treatment, recomputed = treat(result.size, result.recipe.method, result.dtype), result.recipe.train.checkpointing
    pace = training_flops(result.size, treatment, step, recomputed=recomputed == "layers") / measured.step_s
    share = pace / (result.device.best_product(result.dtype) * 1e12)
    device = result.device.model_copy(update={"share": share})
    factor = result.device.share / share
    options = tuple(replace(option, seconds=option.seconds * factor) for option in result.options)
    return replace(result, measured=measured, device=device, options=options)


def _wanted_bytes(result: Plan) -> int:
    """What the account may come to: what the device has, less what a measurement found beyond the account."""
    beyond = result.measured.peak_bytes - result.as_recipe.memory.total if result.measured else 0
    return result.device.memory_bytes - max(0, beyond)


def _disk_free(workspace: Workspace | None) -> int:
    return shutil.disk_usage(workspace.root if workspace else Path.cwd()).free
