"""What questions have read, kept once, and nodes that are read on behind them.

A batch of questions is a forest: the trunk that all of them begin with, each question's own part, and behind it
whatever branches. The trunk's keys and values are kept once for all batches. New nodes stand in bins: a bin sees the
trunk, its own question, and what its own nodes see of each other, so that attention is a few dense products and cost
does not follow the square of all branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.base.plugins import BACKENDS
from tunewright.forest import Path, build
from tunewright.forest import layout as layouts
from tunewright.forest.forest import Forest, Ints, plant
from tunewright.forest.virtual import Prefixed, virtual_count
from tunewright.generate.cache import Recorder

Bools = NDArray[np.bool_]
_Kept = dict[int, tuple[Tensor, Tensor]]  # layer -> keys and values


@dataclass
class Pasts:
    """Keys and values of a batch of questions.

    Args:
        trunk: What all of them begin with, virtual tokens included, shapes (G, P, D).
        own: Each question's own nodes, with room for more, shapes (B, G, room, D).
        depth_BS: Position behind the trunk of what stands in each slot of `own`, shape (B, S).
        length_B: How many of the first slots hold the question itself, one at least, shape (B,).
        hidden_BD: State of each question's last token.
    """

    trunk: _Kept
    own: _Kept
    depth_BS: Ints
    length_B: Ints
    hidden_BD: Tensor

    @property
    def trunk_length(self) -> int:
        """Nodes of the trunk, P."""
        return int(next(iter(self.trunk.values()))[0].shape[1])

    @property
    def slots(self) -> int:
        """Slots of each question that are in use, S."""
        return int(self.depth_BS.shape[1])

    def select(self, rows: Sequence[int]) -> Pasts:
        """Some of the questions, in a given order; one may stand there several times."""
        first = rows[0]
        if list(rows) == list(range(first, first + len(rows))):  # no copy
            span = slice(first, first + len(rows))
            own = {layer: (keys[span], values[span]) for layer, (keys, values) in self.own.items()}
            return Pasts(self.trunk, own, self.depth_BS[span], self.length_B[span], self.hidden_BD[span])
        index = torch.tensor(rows, device=self.hidden_BD.device)
        own = {layer: (keys[index], values[index]) for layer, (keys, values) in self.own.items()}
        return Pasts(self.trunk, own, self.depth_BS[rows], self.length_B[rows], self.hidden_BD[index])

    def make_room(self, more: int) -> None:
        """Makes sure that so many slots can be taken."""
        for layer, (keys, values) in self.own.items():
            if keys.shape[2] < self.slots + more:
                wanted = max(more, self.slots)  # doubled, so that slots are copied a few times at most
                self.own[layer] = _widened(keys, wanted), _widened(values, wanted)


def _widened(kept_BGSD: Tensor, more: int) -> Tensor:
    return torch.nn.functional.pad(kept_BGSD, (0, 0, 0, more))


class Reader:
    """Reads prompts; what all of them begin with is read once.

    Args:
        model: Adopted, of a backend that shares prefixes.
        prompts: All that will be read, one token each at least.

    `shared` is the number of tokens that all of them begin with, and that are not read again.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._model, self._device = model, next(model.parameters()).device
        self._virtual = virtual_count(model)
        # The last token of a prompt stays out of the trunk, so that every question has something of its own.
        self.shared = min(_common(prompts[0], prompt) for prompt in prompts)
        self.shared = min(self.shared, min(len(prompt) for prompt in prompts) - 1)
        self._trunk: _Kept | None = None
        if self.shared:
            kept, _ = self._record(build([_path(prompts[0][: self.shared])]), {})
            self._trunk = kept

    def read(self, prompts: Sequence[Sequence[int]]) -> Pasts:
        """Some of the prompts."""
        forest = build([_path(prompt[self.shared :], row) for row, prompt in enumerate(prompts)])
        before = self._virtual + self.shared
        kept, hidden_ND = self._record(forest, self._trunk or {})
        line_of_row = {
            path.row: forest.ancestors(int(forest.source[forest.path_edge[start]]))
            for path, start in zip(forest.paths, forest.path_start[:-1], strict=True)
        }
        lines = [line_of_row[row] for row in range(len(prompts))]
        length_B = np.array([len(line) for line in lines])
        rest_BL = np.zeros((len(lines), int(length_B.max())), dtype=np.int64)
        for row, line in enumerate(lines):
            rest_BL[row, : len(line)] = line
        place_BL = layouts.to_tensor(before + rest_BL, self._device)
        trunk = self._trunk or {layer: (keys[:, :before], values[:, :before]) for layer, (keys, values) in kept.items()}
        own = {
            layer: (keys[:, place_BL].transpose(0, 1).contiguous(), values[:, place_BL].transpose(0, 1).contiguous())
            for layer, (keys, values) in kept.items()
        }
        last_B = layouts.to_tensor([int(line[-1]) for line in lines], self._device)
        depth_BS = np.broadcast_to(np.arange(rest_BL.shape[1]), rest_BL.shape)
        return Pasts(trunk, own, depth_BS, length_B, hidden_ND.index_select(0, last_B))

    def _record(self, forest: Forest, trunk: _Kept) -> tuple[_Kept, Tensor]:
        """Keys and values of what stands before a forest and of its nodes, (G, P + N, D); the nodes' states, (N, D)."""
        before = self._virtual + (self.shared if trunk else 0)
        inner = BACKENDS.call(layouts.backend_of(self._model), "build", plant(forest, before), self._device)
        recorder = Recorder(inner)
        token_N, depth_N = (layouts.to_tensor(array, self._device) for array in (forest.token, forest.depth))
        if trunk:
            given = [(keys[None], values[None]) for _, (keys, values) in sorted(trunk.items())]
            hidden_ND = feed(self._model, token_N, depth_N + before, Prefixed(recorder, before, given))
        else:  # virtual tokens, if there are any, are read with the others
            hidden_ND = layouts.hidden_states(self._model, token_N, depth_N, recorder)
        return {layer: (keys, recorder.values[layer]) for layer, keys in recorder.keys.items()}, hidden_ND


@dataclass(frozen=True)
class Nodes:
    """Nodes to be read behind the questions of a batch, question by question.

    Args:
        token: Token of each, shape (N,).
        depth: Position behind the trunk of each, shape (N,).
        place: Where each stands among the places of all questions, shape (N,); a question has bins * width.
        own_BQS: Which of its question's slots the node at each place sees, shape (B, bins * width, S).
        bin_BQW: Which places of its own bin it sees, shape (B, bins * width, width).
    """

    token: Ints
    depth: Ints
    place: Ints
    own_BQS: Bools
    bin_BQW: Bools


def read_on(model: Any, pasts: Pasts, nodes: Nodes, *, keep: bool = False) -> Tensor:
    """Reads nodes behind their questions: their states, shape (N, D).

    Args:
        model: As `Reader` was given.
        pasts: The questions.
        nodes: What to read.
        keep: Whether what is read takes slots of its own in `pasts`, a question's places in their order; there is one
            bin then.
    """
    device = pasts.hidden_BD.device
    position_N = layouts.to_tensor(nodes.depth + pasts.trunk_length, device)
    layout = _Branches(pasts, nodes, keep)
    hidden_ND = feed(model, layouts.to_tensor(nodes.token, device), position_N, layout)
    if keep:
        depth_BQ = np.zeros(nodes.own_BQS.shape[:2], dtype=np.int64)
        depth_BQ.reshape(-1)[nodes.place] = nodes.depth
        pasts.depth_BS = np.concatenate([pasts.depth_BS, depth_BQ], axis=1)
    return hidden_ND


def feed(model: Any, token_N: Tensor, position_N: Tensor, layout: layouts.Layout) -> Tensor:
    """States of tokens at given positions, shape (N, D); virtual tokens are the layout's business."""
    output = layouts.backbone(model)(
        input_ids=token_N[None], position_ids=position_N[None], attention_mask=None, use_cache=False, layout=layout
    )
    hidden_ND: Tensor = output.last_hidden_state[0]
    return hidden_ND


class _Branches:
    """The layout of nodes behind their questions."""

    def __init__(self, pasts: Pasts, nodes: Nodes, keep: bool) -> None:
        device = pasts.hidden_BD.device
        questions, places, width = nodes.bin_BQW.shape
        self._pasts, self._keep, self._shape = pasts, keep, (questions, places // width, width)
        self._nodes, self._slots = nodes, pasts.slots
        alike = np.array_equal(nodes.place, np.arange(questions * places))
        self._place_N = None if alike else layouts.to_tensor(nodes.place, device)
        self._hidden: dict[int, Tensor] = {}
        if keep:
            pasts.make_room(places)

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        (questions, bins, width), groups = self._shape, k_GND.shape[1]
        places, shared = bins * width, q_HND.shape[1] // groups
        # Queries that share a group's keys stand one below the other: rows of one product.
        asked = (questions, groups, places * shared, -1)
        q_BGXD = (self._placed(q_HND) * scaling).view(questions, places, groups, shared, -1)
        q_BGXD = q_BGXD.transpose(1, 2).reshape(asked)
        new_k, new_v = (self._placed(x).transpose(1, 2) for x in (k_GND, v_GND))
        trunk_k, trunk_v = self._pasts.trunk[layer]
        own_k, own_v = (x[:, :, : self._slots] for x in self._pasts.own[layer])
        if self._keep:
            for kept, new in zip(self._pasts.own[layer], (new_k, new_v), strict=True):
                kept[:, :, self._slots : self._slots + places] = new
        in_bins = (questions, groups, bins, -1)
        k_BGJWD, v_BGJWD = (x.reshape(*in_bins[:3], width, x.shape[-1]) for x in (new_k, new_v))
        near = q_BGXD.view(*in_bins, q_BGXD.shape[-1]) @ k_BGJWD.transpose(-1, -2)
        parts = [
            torch.einsum("bgxd,gpd->bgxp", q_BGXD, trunk_k),
            q_BGXD @ own_k.transpose(-1, -2),
            near.view(asked),
        ]
        score_BGQRK = torch.cat(parts, dim=-1).view(questions, groups, places, shared, -1)
        score_BGQRK.masked_fill_(self._unseen(window)[:, None, :, None], -torch.inf)
        share_BGXK = score_BGQRK.softmax(-1, dtype=torch.float32).to(q_HND.dtype).view(asked)
        far, mine, near = torch.split(share_BGXK, [part.shape[-1] for part in parts], dim=-1)
        out_BGXD = torch.einsum("bgxp,gpd->bgxd", far, trunk_v) + mine @ own_v
        out_BGXD += (near.reshape(*in_bins, width) @ v_BGJWD).view(asked)
        out_BQGRD = out_BGXD.view(questions, groups, places, shared, -1).transpose(1, 2)
        out_YHD: Tensor = out_BQGRD.reshape(questions * places, groups * shared, -1)
        return (out_YHD if self._place_N is None else out_YHD.index_select(0, self._place_N))[None]

    def _placed(self, x_HND: Tensor) -> Tensor:
        """Nodes at their places, shape (B, Q, H, D); 0 where no node stands."""
        questions, bins, width = self._shape
        x_NHD = x_HND[0].transpose(0, 1)
        if self._place_N is not None:
            padded = x_NHD.new_zeros(questions * bins * width, *x_NHD.shape[1:])
            x_NHD = padded.index_copy_(0, self._place_N, x_NHD)
        return x_NHD.reshape(questions, bins * width, *x_NHD.shape[1:])

    def _unseen(self, window: int) -> Tensor:
        """What each place does not see of the trunk, its question and its bin, shape (B, Q, K); of no node, nothing."""
        if window not in self._hidden:
            nodes, pasts = self._nodes, self._pasts
            questions, places, width = nodes.bin_BQW.shape
            seen_BQP = np.ones((questions, places, pasts.trunk_length), dtype=bool)
            unseen_BQK = ~np.concatenate([seen_BQP, nodes.own_BQS, nodes.bin_BQW], axis=2)
            if window:
                depth_BQ = np.zeros(questions * places, dtype=np.int64)
                depth_BQ[nodes.place] = nodes.depth
                depth_BQ = depth_BQ.reshape(questions, places)
                far_BP = np.broadcast_to(np.arange(pasts.trunk_length) - pasts.trunk_length, seen_BQP[:, 0].shape)
                of_bins = depth_BQ.reshape(questions, -1, width).repeat(width, axis=1)
                of_rest = np.concatenate([far_BP, pasts.depth_BS[:, : self._slots]], axis=1)
                of_rest = np.broadcast_to(of_rest[:, None], (questions, places, of_rest.shape[1]))
                unseen_BQK |= depth_BQ[:, :, None] - np.concatenate([of_rest, of_bins], axis=2) >= window
            empty = np.ones(questions * places, dtype=bool)
            empty[nodes.place] = False
            unseen_BQK[empty.reshape(questions, places)] = False  # a softmax over nothing would not be a number
            self._hidden[window] = torch.tensor(unseen_BQK, device=pasts.hidden_BD.device)
        return self._hidden[window]


def _path(prompt: Sequence[int], row: int = 0) -> Path:
    """A path all of whose tokens are read; what it predicts is of no matter."""
    weights = np.zeros(len(prompt) + 1, dtype=np.float32)
    weights[-1] = 1.0
    return Path(np.array([*prompt, 0], dtype=np.int32), weights, group=row, row=row)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning of two rows of tokens."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
