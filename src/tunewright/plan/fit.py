"""What would make a recipe fit: other settings, from the ones that cost nothing to those that cost quality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import OutOfMemoryError
from tunewright.plan.bases import known_bases, smaller_bases
from tunewright.plan.devices import for_each, this_machine
from tunewright.plan.predict import Forecast, method_like
from tunewright.plan.rows import Found
from tunewright.plan.settle import SMALLEST_BUDGET, Settled, settle

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenTable
    from tunewright.models.memory import ModelSize
    from tunewright.recipe import Recipe

_SMALLEST_RANK = 4
_LIGHTER_METHODS = {"full": ("lora", "qlora"), "layers": ("lora", "qlora"), "lora": ("qlora",), "rslora": ("qlora",)}


@dataclass(frozen=True, slots=True)
class Change:
    """Settings that would make a recipe fit.

    Args:
        fields: The recipe's fields and their new values: `{"train.node_budget": 512}`.
        peak_bytes: What it takes then.
        cost: What it costs, in a sentence.
    """

    fields: dict[str, Any]
    peak_bytes: int
    cost: str

    @property
    def text(self) -> str:
        """The settings, as a recipe has them."""
        return " with ".join(f"{name}: {value}" for name, value in self.fields.items())

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Way:
    """One setting, and the values to try in turn."""

    field: str
    values: tuple[Any, ...]
    cost: str


def changes(forecast: Forecast, wanted_bytes: int) -> tuple[Change, ...]:
    """Changes after which a recipe takes no more than it may: each setting alone, the least harmful first.

    Where no setting alone is enough, one change of several; where not even that, smaller bases alone, or nothing.
    """
    alone = [found for way in _ways(forecast) if (found := _first_that_fits(forecast, way, wanted_bytes)) is not None]
    together = [] if alone else _together(forecast, wanted_bytes)
    return (*alone, *together, *_smaller(forecast, wanted_bytes))


def check_fits(recipe: Recipe, size: ModelSize, tables: Mapping[str, TokenTable]) -> Settled:
    """Settles how much is computed at once, and refuses training that cannot fit, before the base is loaded.

    Args:
        recipe: What is to be trained.
        size: Its base's size.
        tables: Its rows' tokens.
    Raises:
        OutOfMemoryError: Says how much it takes, how much is free, and what would make it fit.
    """
    found = Found("the rows of this run", tables=dict(tables))
    asked = Forecast(recipe, size, for_each(this_machine(), recipe), found)
    settled = settle(asked)
    forecast = Forecast(settled.recipe, size, asked.device, found)
    free, worst = forecast.device.memory_bytes, forecast.work(settled.recipe).worst
    memory = forecast.memory(settled.recipe, worst)
    if memory.total <= free:
        return settled
    where = asked.device.label
    largest = sorted(memory.causes().items(), key=lambda cause: -cause[1])[:2]
    told = ", ".join(f"{held / 1e9:.1f} GB for {name}" for name, held in largest)
    ways = [change.text for change in changes(forecast, free)]
    budget = settled.recipe.train.piece_nodes
    if worst.nodes > budget:
        ways.append(f"a data.max_length below {worst.nodes:,}, since a row is never cut and the longest has so many")
    raise OutOfMemoryError(
        f"This takes about {memory.total / 1e9:.1f} GB ({told}), and {free / 1e9:.1f} GB are free on {where}",
        where=f"{recipe.base} ({size.parameters:,} parameters, {forecast.dtype(recipe)})",
        hint=f"What would make it fit: {', or '.join([*ways, 'more free memory'])}.",
    )


def changed(recipe: Recipe, fields: dict[str, Any]) -> Recipe:
    """A recipe with some fields set: `train.…` and `method.…`, or `method` as a name."""
    train, method = {}, recipe.method
    for name, value in fields.items():
        section, _, key = name.partition(".")
        if section == "train":
            train[key] = value
        elif not key:
            method = method_like(recipe.method, str(value))
        else:
            method = method.model_copy(update={key: value})
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=train), "method": method})


def _ways(forecast: Forecast) -> Iterator[_Way]:
    recipe, train = forecast.recipe, forecast.recipe.train
    yield _Way("train.node_budget", _halved(train.piece_nodes, SMALLEST_BUDGET), "the same result, a little slower")
    if train.checkpointing != "layers":
        yield _Way("train.checkpointing", ("layers",), "the same result, up to half slower")
    if train.offload == "none" and not forecast.device.is_here:
        yield _Way("train.offload", ("optimiser",), "the same result, and slower steps: the processor takes them")
    if forecast.dtype(recipe) == "float32":
        slow = "slow, since this processor does not compute in it" if forecast.device.dtype == "float32" else "faster"
        yield _Way("train.dtype", ("bfloat16",), f"half as precise; {slow}")
    yield _Way("train.batch_size", _halved(train.batch_size, 1), "more and noisier steps")
    rank = recipe.method.model_dump().get("rank")
    if rank:
        yield _Way("method.rank", _halved(rank, min(_SMALLEST_RANK, rank)), "an adapter that can hold less")
    for name in _LIGHTER_METHODS.get(recipe.method.plugin, ()):
        cost = "a frozen base, and an adapter" if name == "lora" else "a base in 4 bits, slower and a little less exact"
        yield _Way("method", (name,), cost)


def _first_that_fits(forecast: Forecast, way: _Way, wanted_bytes: int) -> Change | None:
    for value in way.values:
        peak = _peak(forecast, {way.field: value})
        if peak <= wanted_bytes:
            return Change({way.field: value}, peak, way.cost)
    return None


def _together(forecast: Forecast, wanted_bytes: int) -> list[Change]:
    """Each setting in turn at its least, until it fits; then what was not needed is taken back."""
    fields: dict[str, Any] = {}
    costs: dict[str, str] = {}
    for way in _ways(forecast):
        if not way.values:
            continue
        if way.field == "method":
            fields.pop("method.rank", None)
        fields[way.field], costs[way.field] = way.values[-1], way.cost
        if _peak(forecast, fields) <= wanted_bytes:
            break
    else:
        return []
    for name in list(fields):
        fewer = {key: value for key, value in fields.items() if key != name}
        if _peak(forecast, fewer) <= wanted_bytes:
            fields = fewer
    return [Change(fields, _peak(forecast, fields), "; ".join(costs[name] for name in fields))]


def _smaller(forecast: Forecast, wanted_bytes: int) -> list[Change]:
    """The largest smaller base that fits with all else as it stands."""
    recipe = forecast.recipe
    piece = forecast.work(recipe).worst
    for name in smaller_bases(forecast.size):
        peak = forecast.memory(recipe, piece, known_bases()[name]).total
        if peak <= wanted_bytes:
            return [Change({"base": name}, peak, "a model that can do less; its tokens may differ")]
    return []


def _peak(forecast: Forecast, fields: dict[str, Any]) -> int:
    recipe = changed(forecast.recipe, fields)
    return forecast.memory(recipe, forecast.work(recipe).worst).total


def _halved(value: int, smallest: int) -> tuple[int, ...]:
    """A value's halves, down to the smallest."""
    found = []
    while value // 2 >= smallest:
        value //= 2
        found.append(value)
    return tuple(found)
