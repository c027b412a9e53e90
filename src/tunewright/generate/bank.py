"""Several adapters of one base in one pass, beside its weights and not in them.

What a pass computes stands in one line of nodes, and each stretch of it belongs to one adapter. A layer's product with
the base's weights is that of all nodes. Behind it, the narrow products of the adapters are added to their own nodes'
results: of a long stretch by itself; of short ones (rows that are being answered, a node each) as one product of
batches, an adapter each, whose matrices lie side by side for that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tunewright.base.errors import TunewrightError
from tunewright.models.low_rank import Update, read_low_rank, why_not_low_rank

if TYPE_CHECKING:
    from tunewright.models.base import Base

# A stretch of so many nodes has products of its own.
_LONG = 32
# How many times as many nodes a product of batches may have as are wanted: all its batches are as long as the longest.
_MOST_PADDED = 2
_SPARE = 1.5  # room that is made for adapters to come

Segments = Sequence[tuple[str, int]]
_Span = tuple[int, int]  # of the rows of a layer's matrices that are one adapter's, from and to


class AdapterBank:
    """The adapters that a base has at hand; loading and dropping one waits for the pass under way.

    Args:
        base: What they were trained on. Its weights stay as they are; its linear layers get hooks while adapters need
            them.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._layers: dict[str, _Layer] = {}
        self._bytes: dict[str, int] = {}
        self._lock = threading.RLock()
        self._pass: _Pass | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The adapters at hand, the earliest loaded first."""
        return tuple(self._bytes)

    @property
    def bytes(self) -> int:
        """Memory that all adapters take, spare room included."""
        return sum(layer.bytes for layer in self._layers.values())

    def bytes_of(self, key: str) -> int:
        """Memory that an adapter's matrices take."""
        return self._bytes[key]

    def why_not(self, folder: Path) -> str:
        """Why an adapter cannot be held here, because it is more than low-rank updates; empty if it can.

        Raises:
            ModelError: If there is no adapter in the folder, or one of another base.
        """
        return why_not_low_rank(self._base, folder)

    def can_hold(self, folder: Path) -> bool:
        """Whether an adapter can be held here; raises as `why_not` does."""
        return not self.why_not(folder)

    def load(self, key: str, folder: Path) -> None:
        """Takes in a saved adapter.

        Args:
            key: What passes call it; not empty, which is the bare base.
        Raises:
            ModelError: If it cannot be held here, or does not fit the base.
            TunewrightError: If the key is taken.
        """
        updates = read_low_rank(self._base, folder)
        with self._lock:
            if not key or key in self._bytes:
                raise TunewrightError(f"The key '{key}' of an adapter is empty or taken")
            for name, update in updates.items():
                if name not in self._layers:
                    self._layers[name] = _Layer(self._base.model.get_submodule(name), self)
                self._layers[name].add(key, update)
            self._bytes[key] = sum(update.bytes for update in updates.values())

    def drop(self, key: str) -> None:
        """Lets go of an adapter.

        Raises:
            TunewrightError: If there is none of this key.
        """
        with self._lock:
            if key not in self._bytes:
                raise TunewrightError(f"There is no adapter '{key}' to drop")
            del self._bytes[key]
            for name, layer in [*self._layers.items()]:
                layer.remove(key)
                if not layer.spans:
                    layer.handle.remove()
                    del self._layers[name]

    @contextmanager
    def use(self, segments: Segments) -> Iterator[None]:
        """One pass: what the base computes while open belongs to these adapters.

        The head is a layer like others, but is asked about some nodes alone: where it is called on other nodes than the
        pass, call it under a `use` of its own.

        Args:
            segments: Of the pass's nodes, in order, whose they are and how many; an empty key for the bare base.
        Raises:
            TunewrightError: If a key is unknown, or if a pass is under way on this thread.
        """
        with self._lock:
            if self._pass is not None:
                raise TunewrightError("A pass began while another one was under way")
            unknown = sorted({key for key, _ in segments if key} - self._bytes.keys())
            if unknown:
                raise TunewrightError(f"There is no adapter '{unknown[0]}'")
            self._pass = _Pass(segments)
            try:
                yield
            finally:
                self._pass = None

    def add_to(self, layer: _Layer, x: Tensor, y: Tensor) -> None:
        """Adds to a layer's result what the pass's adapters make of its input, in place."""
        if self._pass is not None:
            self._pass.add(layer, x, y)


class _Layer:
    """The adapters' matrices for one linear layer, side by side.

    Attributes:
        down_CI: First matrices, one adapter's ranks after another's, then spare rows.
        up_CO: Second ones, likewise.
        spans: By adapter, its rows.
        lengths: By adapter, what it scales the base's outputs by (DoRA).
    """

    def __init__(self, module: Any, bank: AdapterBank) -> None:
        self.spans: dict[str, tuple[int, int]] = {}
        self.lengths: dict[str, Tensor] = {}
        self.bias: Tensor | None = module.bias
        self.down_CI = self.up_CO = torch.empty(0, 0)
        self.handle = module.register_forward_hook(partial(_hook, bank, self))

    @property
    def bytes(self) -> int:
        """Of its matrices, spare room included."""
        return sum(x.nbytes for x in (self.down_CI, self.up_CO, *self.lengths.values()))

    @property
    def end(self) -> int:
        """Rows that are taken."""
        return max((stop for _, stop in self.spans.values()), default=0)

    def add(self, key: str, update: Update) -> None:
        """Puts an adapter's matrices behind the others."""
        start, stop = self.end, self.end + len(update.down_RI)
        if stop > len(self.down_CI):
            room = max(stop, int(_SPARE * start))
            self.down_CI = _moved(self.down_CI[:start], update.down_RI, room)
            self.up_CO = _moved(self.up_CO[:start], update.up_OR.T, room)
        self.down_CI[start:stop], self.up_CO[start:stop] = update.down_RI, update.up_OR.T
        self.spans[key] = start, stop
        if update.lengths_O is not None:
            self.lengths[key] = update.lengths_O

    def remove(self, key: str) -> None:
        """Takes an adapter's matrices out, and moves those behind it up."""
        if key not in self.spans:
            return
        start, stop = self.spans.pop(key)
        self.lengths.pop(key, None)
        for stack in (self.down_CI, self.up_CO):
            stack[start : len(stack) - (stop - start)] = stack[stop:].clone()
        width = stop - start
        self.spans = {k: (a - width, b - width) if a > start else (a, b) for k, (a, b) in self.spans.items()}


def _hook(bank: AdapterBank, layer: _Layer, module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    bank.add_to(layer, inputs[0], output)


def _moved(old_CX: Tensor, like_RX: Tensor, room: int) -> Tensor:
    """A matrix of so many rows that begins with the old ones."""
    new = like_RX.new_zeros(room, like_RX.shape[1])
    if len(old_CX):
        new[: len(old_CX)] = old_CX
    return new


@dataclass(frozen=True, slots=True)
class _Batches:
    """A product of batches, K of them.

    Args:
        columns: The rows of the layer's matrices that its adapters take, R each.
        whole: Where the batches' nodes stand, if they stand side by side in the pass, equally many for each adapter.
        node_P: The nodes of one batch after another, equally many each, the shorter ones filled up with whichever node.
        wanted_M: Places in `node_P` that count; None for all.
        node_M: The nodes in those places.
        count: K.
    """

    columns: slice
    whole: slice | None
    node_P: Tensor
    wanted_M: Tensor | None
    node_M: Tensor
    count: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the products of a pass are cut for layers whose matrices lie alike.

    Args:
        apart: Nodes and columns of products by themselves, from and to.
        together: Products of batches.
    """

    apart: list[tuple[slice, slice]]
    together: list[_Batches]


class _Pass:
    """Whose each node of a pass is."""

    def __init__(self, segments: Segments) -> None:
        self.nodes = 0
        self.stretches: list[tuple[str, int, int]] = []  # key, from, to
        for key, count in segments:
            start, self.nodes = self.nodes, self.nodes + count
            if self.stretches and self.stretches[-1][0] == key and self.stretches[-1][2] == start:
                self.stretches[-1] = key, self.stretches[-1][1], self.nodes
            elif key and count:
                self.stretches.append((key, start, self.nodes))
        self._plans: dict[tuple[_Span | None, ...], _Plan] = {}

    @torch.no_grad()
    def add(self, layer: _Layer, x: Tensor, y: Tensor) -> None:
        """Adds to a layer's result, in place."""
        if not self.stretches:
            return
        x_NI, y_NO = x.reshape(-1, x.shape[-1]), y.view(-1, y.shape[-1])
        if len(x_NI) != self.nodes:
            raise TunewrightError(f"A layer was given {len(x_NI)} nodes in a pass of {self.nodes}")
        if layer.lengths:
            self._scale(layer, y_NO)
        plan = self._plan(layer)
        x_NI = x_NI.to(layer.down_CI.dtype)
        for nodes, columns in plan.apart:
            _add(y_NO[nodes], x_NI[nodes] @ layer.down_CI[columns].T, layer.up_CO[columns])
        for batches in plan.together:
            _add_batches(batches, layer, x_NI, y_NO)

    def _scale(self, layer: _Layer, y_NO: Tensor) -> None:
        for key, start, stop in self.stretches:
            if key not in layer.lengths:
                continue
            mine, lengths_O = y_NO[start:stop], layer.lengths[key]
            scaled = mine * lengths_O if layer.bias is None else (mine - layer.bias) * lengths_O + layer.bias
            mine.copy_(scaled)

    def _plan(self, layer: _Layer) -> _Plan:
        spans = tuple(layer.spans.get(key) for key, _, _ in self.stretches)
        if spans not in self._plans:
            self._plans[spans] = self._make_plan(spans, layer.down_CI.device)
        return self._plans[spans]

    def _make_plan(self, spans: Sequence[_Span | None], device: torch.device) -> _Plan:
        apart: list[tuple[slice, slice]] = []
        short: dict[_Span, list[tuple[int, int]]] = {}
        for (_, start, stop), span in zip(self.stretches, spans, strict=True):
            if span is None:
                continue
            if stop - start >= _LONG:
                apart.append((slice(start, stop), slice(*span)))
            else:
                short.setdefault(span, []).append((start, stop))
        together: list[_Batches] = []
        for run in _runs(short):
            if len(run) > 1:
                together.append(_batches({span: short[span] for span in run}, device))
            else:
                apart += [(slice(start, stop), slice(*run[0])) for start, stop in short[run[0]]]
        return _Plan(apart, together)


def _runs(short: Mapping[_Span, Sequence[tuple[int, int]]]) -> list[list[_Span]]:
    """Adapters whose matrices are of one rank and lie one behind the other, and whose nodes are about as many."""
    nodes = {span: sum(stop - start for start, stop in parts) for span, parts in short.items()}
    runs: list[list[_Span]] = []
    for span in sorted(nodes):
        last = runs[-1] if runs else []
        if last and last[-1][1] == span[0] and span[1] - span[0] == last[-1][1] - last[-1][0]:
            longer = [*last, span]
            counts = [nodes[one] for one in longer]
            if max(counts) * len(counts) <= _MOST_PADDED * sum(counts):
                runs[-1] = longer
                continue
        runs.append([span])
    return runs


def _batches(parts: Mapping[_Span, Sequence[tuple[int, int]]], device: torch.device) -> _Batches:
    lists = [[node for start, stop in parts[span] for node in range(start, stop)] for span in parts]
    longest = max(map(len, lists))
    padded = [node for nodes in lists for node in [*nodes, *[nodes[0]] * (longest - len(nodes))]]
    wanted = [batch * longest + place for batch, nodes in enumerate(lists) for place in range(len(nodes))]
    side_by_side = padded == list(range(padded[0], padded[0] + len(padded)))
    return _Batches(
        slice(min(start for start, _ in parts), max(stop for _, stop in parts)),
        slice(padded[0], padded[0] + len(padded)) if side_by_side else None,
        torch.tensor(padded, device=device),
        None if len(wanted) == len(padded) else torch.tensor(wanted, device=device),
        torch.tensor([node for nodes in lists for node in nodes], device=device),
        len(lists),
    )


def _add_batches(batches: _Batches, layer: _Layer, x_NI: Tensor, y_NO: Tensor) -> None:
    """Adds a product of batches in place, as `_add` does."""
    down_KRI, up_KRO = (
        stack[batches.columns].view(batches.count, -1, stack.shape[1]) for stack in (layer.down_CI, layer.up_CO)
    )
    if batches.whole is not None and y_NO.dtype == up_KRO.dtype:
        # As it is mostly: the rows of a pass stand in the order of their adapters. Nothing is copied.
        x_KPI, y_KPO = (z[batches.whole].view(batches.count, -1, z.shape[1]) for z in (x_NI, y_NO))
        y_KPO.baddbmm_(torch.bmm(x_KPI, down_KRI.transpose(1, 2)), up_KRO)
        return
    x_KPI = x_NI.index_select(0, batches.node_P).view(batches.count, -1, x_NI.shape[1])
    added_PO = torch.bmm(torch.bmm(x_KPI, down_KRI.transpose(1, 2)), up_KRO).view(-1, y_NO.shape[1])
    added_MO = added_PO if batches.wanted_M is None else added_PO.index_select(0, batches.wanted_M)
    if y_NO.dtype == added_MO.dtype:
        y_NO.index_add_(0, batches.node_M, added_MO)
    else:
        y_NO.index_copy_(0, batches.node_M, (y_NO.index_select(0, batches.node_M) + added_MO).to(y_NO.dtype))


def _add(y_MO: Tensor, low_MR: Tensor, up_RO: Tensor) -> None:
    """Adds a product in place; to narrower results, once it is computed in the adapter's own dtype."""
    if y_MO.dtype == low_MR.dtype:
        y_MO.addmm_(low_MR, up_RO)
    else:
        y_MO.add_(low_MR @ up_RO)
