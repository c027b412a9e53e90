"""Keys and values of a server's requests: slots that prefixes share, and in front of them a tail for each row.

A row's newest tokens are its tail. Tails lie side by side, so that one product of matrices asks all of them, where the
slots of shared prefixes are asked one stretch after another by all rows behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.base.errors import InputError
from tunewright.base.plugins import BACKENDS
from tunewright.forest import Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.forest import plant
from tunewright.forest.virtual import virtual_count
from tunewright.generate.cache import KeysValues, Recorder
from tunewright.generate.serving.pages import PAGE, Span

# Of the memory, for tails; a tail is no longer than this, since short ones are asked with the longest one's width.
_TAIL_SHARE, _LONGEST_TAIL = 0.25, 256


@dataclass(frozen=True)
class Sizes:
    """How memory is divided.

    Args:
        shapes: By layer, the heads of keys and values and the widths of a key and of a value.
        rows: Rows that have tails.
        tail: Tokens of each.
        pages: Pages of slots.
        token_bytes: Bytes of a token's keys and values in all layers.
    """

    shapes: Mapping[int, tuple[int, int, int]]
    rows: int
    tail: int
    pages: int
    token_bytes: int


def divide(known: Mapping[int, KeysValues], *, memory_bytes: int, rows: int) -> Sizes:
    """Divides memory into tails and pages.

    Args:
        known: Keys and values of some token, by layer, shapes (G, ..., D).
        memory_bytes: In all.
        rows: As many as there should be; fewer where tails would take too much.
    Raises:
        InputError: If there is room for next to nothing.
    """
    shapes = {layer: (k.shape[0], k.shape[-1], v.shape[-1]) for layer, (k, v) in known.items()}
    token_bytes = sum(
        heads * (wide_k + wide_v) * known[layer][0].element_size() for layer, (heads, wide_k, wide_v) in shapes.items()
    )
    for_tails = int(memory_bytes * _TAIL_SHARE) // token_bytes
    rows = max(1, min(rows, for_tails // PAGE))
    tail = min(_LONGEST_TAIL, max(PAGE, for_tails // rows // PAGE * PAGE))
    pages = (memory_bytes - rows * tail * token_bytes) // (PAGE * token_bytes)
    if pages < 4:
        raise InputError(
            f"{memory_bytes:,} bytes hold next to no keys and values: a token takes {token_bytes:,}",
            where="memory_bytes",
            hint=f"Give {64 * PAGE * token_bytes:,} bytes or more.",
        )
    return Sizes(shapes, rows, tail, pages, token_bytes)


class Store:
    """Slots and tails of each layer.

    Args:
        sizes: How many.
        like: Tells kind of number and device.

    `keys` and `values` have shapes (G, slots, D), `tail_keys` and `tail_values` (rows, G, tail, D).
    """

    def __init__(self, sizes: Sizes, like: Tensor) -> None:
        self.sizes = sizes
        self.keys, self.values = dict[int, Tensor](), dict[int, Tensor]()
        self.tail_keys, self.tail_values = dict[int, Tensor](), dict[int, Tensor]()
        for layer, (heads, *widths) in sizes.shapes.items():
            slots, tails = (self.keys, self.values), (self.tail_keys, self.tail_values)
            for width, slot, tail in zip(widths, slots, tails, strict=True):
                slot[layer] = _nothing((heads, sizes.pages * PAGE, width), like)
                tail[layer] = _nothing((sizes.rows, heads, sizes.tail, width), like)

    def path(self, layer: int, spans: Sequence[Span]) -> KeysValues:
        """Keys and values of spans one behind another, shapes (G, n, D); of a single one no copy."""
        k, v = self.keys[layer], self.values[layer]
        if len(spans) == 1:
            (start, stop), *_ = spans
            return k[:, start:stop], v[:, start:stop]
        return tuple(torch.cat([kept[:, start:stop] for start, stop in spans], dim=1) for kept in (k, v))  # type: ignore[return-value]

    def fill_slots(self, known: Mapping[int, KeysValues], spans: Sequence[Span]) -> None:
        """Copies keys and values, shapes (G, n, D), into slots."""
        for layer, given in known.items():
            for x_GnD, kept in zip(given, (self.keys[layer], self.values[layer]), strict=True):
                place = 0
                for start, stop in spans:
                    kept[:, start:stop] = x_GnD[:, place : place + stop - start]
                    place += stop - start

    def settle(self, row: int, first: int, spans: Sequence[Span]) -> None:
        """Copies tokens of a row's tail into slots, from the tail's `first` token on."""
        count = sum(stop - start for start, stop in spans)
        part = slice(first, first + count)
        self.fill_slots(
            {x: (self.tail_keys[x][row, :, part], self.tail_values[x][row, :, part]) for x in self.keys}, spans
        )

    def fetch(self, row: int, length: int, spans: Sequence[Span]) -> None:
        """Copies slots to the front of a row's tail, which has had `length` tokens and moves on behind them."""
        count = sum(stop - start for start, stop in spans)
        for layer in self.keys:
            path = self.path(layer, spans)
            for x_GnD, tail in zip(path, (self.tail_keys[layer][row], self.tail_values[layer][row]), strict=True):
                if length:
                    tail[:, count : count + length] = tail[:, :length].clone()
                tail[:, :count] = x_GnD

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first tokens of a row's tail to another row's place."""
        for tails in (self.tail_keys, self.tail_values):
            for tail in tails.values():
                tail[target, :, :length] = tail[source, :, :length]


def first_states(model: Any) -> dict[int, KeysValues]:
    """Keys and values by layer of a model's virtual tokens and of one token behind them, shapes (G, P + 1, D)."""
    device, virtual = next(model.parameters()).device, virtual_count(model)
    forest = build([Path(np.zeros(2, dtype=np.int32), np.array([0, 1], dtype=np.float32), group=0, row=0)])
    recorder = Recorder(BACKENDS.call(layouts.backend_of(model), "build", plant(forest, virtual), device))
    token_N, depth_N = (layouts.to_tensor(array, device) for array in (forest.token, forest.depth))
    layouts.hidden_states(model, token_N, depth_N, recorder)
    return recorder.first(virtual + 1)


def _nothing(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros: what is not written yet gets a share of 0, and 0 of what is no number would be no number."""
    if like.device.type != "cpu":
        return torch.zeros(shape, dtype=like.dtype, device=like.device)
    # The system gives zeros page by page once they are touched, so what is never used takes no memory.
    count = int(np.prod(shape)) * like.element_size()
    return torch.from_numpy(np.zeros(count, dtype=np.uint8)).view(like.dtype).view(shape)
