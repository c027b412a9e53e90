"""Attention of rows that are padded to one shape, and its gradient where the library's own is slow.

On a processor the library's flash kernel takes ten to twenty times longer for the gradient in bfloat16 than for the
answer, since it multiplies one small block after another. Here all heads' products are batched, as processors with
bfloat16 units want them, and probabilities are computed again, some rows at a time, so that few of them are ever in
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# Probabilities that are in memory at once: 4 MB.
_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Bucket:
    """Rows of like size, padded to one shape (S rows, Q queries, K keys)."""

    visible_SQK: Tensor
    distance_SQK: Tensor  # how far the key lies from the query, for windows
    masks: dict[tuple[int, torch.dtype], Tensor] = field(default_factory=dict)  # made once, for all layers
    cuts: dict[tuple[int, int], list[_Block]] = field(default_factory=dict)  # likewise

    @property
    def shape(self) -> tuple[int, int, int]:
        """S, Q and K."""
        segments, queries, keys = self.visible_SQK.shape
        return segments, queries, keys

    def mask(self, window: int, dtype: torch.dtype) -> Tensor:
        """What is added to the products of queries and keys: 0 where seen, -inf elsewhere, shape (S, 1, Q, K)."""
        if (window, dtype) not in self.masks:
            zero_SQK = self.visible_SQK.new_zeros(self.shape, dtype=dtype)
            self.masks[window, dtype] = zero_SQK.masked_fill_(~self._seen(window), float("-inf"))[:, None]
        return self.masks[window, dtype]

    def blocks(self, window: int, heads: int) -> list[_Block]:
        """What to compute at a time: some rows, or some queries of a row, and the keys that these can see."""
        if (window, heads) not in self.cuts:
            seen_SQK = self._seen(window)
            self.cuts[window, heads] = [
                _Block(rows, queries, 1 + int(seen_SQK[rows, queries].flatten(0, 1).any(0).nonzero().max()))
                for rows, queries in _cut(self.shape, heads)
            ]
        return self.cuts[window, heads]

    def _seen(self, window: int) -> Tensor:
        return self.visible_SQK & (self.distance_SQK < window) if window else self.visible_SQK


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows, some queries of theirs, and how many of the first keys those see."""

    rows: slice
    queries: slice
    keys: int


def _cut(shape: tuple[int, int, int], heads: int) -> Iterator[tuple[slice, slice]]:
    segments, queries, keys = shape
    at_once = max(1, _AT_ONCE // (heads * keys))  # queries
    rows = max(1, at_once // queries)
    for first in range(0, segments, rows):
        for start in range(0, queries, min(at_once, queries)):
            yield slice(first, min(first + rows, segments)), slice(start, min(start + at_once, queries))


@dataclass(frozen=True)
class Rows:
    """Buckets one behind the other, as their queries and keys are gathered: T places that ask, U that are seen."""

    buckets: list[Bucket]

    def attend(self, q_TX: Tensor, kv_UY: Tensor, sizes: Sizes, scaling: float, window: int) -> Tensor:
        """Attention of all queries.

        Args:
            q_TX: Queries of all heads side by side, X = H · D.
            kv_UY: Keys of all groups, and behind them their values.
            sizes: How these are divided.
            scaling: Factor on the products of queries and keys.
            window: A key farther than this behind its query is not seen; 0 for no such limit.
        Returns:
            Shape (T, H · V).
        """
        if q_TX.dtype == torch.bfloat16 and q_TX.device.type == "cpu" and torch.is_grad_enabled():
            return _Batched.apply(q_TX, kv_UY, self, sizes, scaling, window)  # type: ignore[no-untyped-call, no-any-return]
        return self.flash(q_TX, kv_UY, sizes, scaling, window)

    def flash(self, q_TX: Tensor, kv_UY: Tensor, sizes: Sizes, scaling: float, window: int) -> Tensor:
        """The same, by the library's function."""
        answers = []
        for bucket, q_SHQD, k_SGKD, v_SGKV in self.parts(q_TX, kv_UY, sizes):
            mask = bucket.mask(window, q_TX.dtype)
            shared = sizes.heads != sizes.groups
            out_SHQV = scaled_dot_product_attention(
                q_SHQD, k_SGKD, v_SGKV, attn_mask=mask, scale=scaling, enable_gqa=shared
            )
            answers.append(out_SHQV.transpose(1, 2).flatten(0, 1).flatten(1))
        return torch.cat(answers)

    def parts(self, q_TX: Tensor, kv_UY: Tensor, sizes: Sizes) -> Iterator[tuple[Bucket, Tensor, Tensor, Tensor]]:
        """Each bucket with its views of queries, keys and values, head by head."""
        shapes = [bucket.shape for bucket in self.buckets]
        # Split, not sliced: a slice's gradient is a whole array of zeros, one for each bucket, to be added up.
        split_q = torch.split(q_TX, [segments * queries for segments, queries, _ in shapes])
        split_kv = torch.split(kv_UY, [segments * keys for segments, _, keys in shapes])
        for bucket, q_rows, kv_rows in zip(self.buckets, split_q, split_kv, strict=True):
            segments, queries, keys = bucket.shape
            k_rows, v_rows = torch.split(kv_rows, [sizes.keys, kv_rows.shape[1] - sizes.keys], dim=1)
            q_SHQD = q_rows.view(segments, queries, sizes.heads, -1).transpose(1, 2)
            k_SGKD, v_SGKV = (x.view(segments, keys, sizes.groups, -1).transpose(1, 2) for x in (k_rows, v_rows))
            yield bucket, q_SHQD, k_SGKD, v_SGKV


@dataclass(frozen=True, slots=True)
class Sizes:
    """How rows of queries, and of keys and values, are divided.

    Args:
        heads: Of the queries, H.
        groups: Of keys and values, G; H is a multiple of it.
        keys: Numbers of a row that are keys; the values stand behind them.
    """

    heads: int
    groups: int
    keys: int


class _Batched(torch.autograd.Function):
    """The library's answers, with a gradient of batched products (Dao et al. 2022, arXiv:2205.14135, algorithm 4)."""

    @staticmethod
    def forward(ctx: Any, q_TX: Tensor, kv_UY: Tensor, rows: Rows, sizes: Sizes, scaling: float, window: int) -> Tensor:
        ctx.save_for_backward(q_TX, kv_UY)
        ctx.rows, ctx.sizes, ctx.scaling, ctx.window = rows, sizes, scaling, window
        return rows.flash(q_TX, kv_UY, sizes, scaling, window)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        rows, sizes = ctx.rows, ctx.sizes
        q_grad_TX, kv_grad_UY = (torch.empty_like(each) for each in ctx.saved_tensors)
        given = rows.parts(*ctx.saved_tensors, sizes)
        wanted = rows.parts(q_grad_TX, kv_grad_UY, sizes)
        start = 0
        for (bucket, *inputs), (_, *found) in zip(given, wanted, strict=True):
            segments, queries, _ = bucket.shape
            grad_SQHV = grads[0][start : start + segments * queries].view(segments, queries, sizes.heads, -1)
            start += segments * queries
            _bucket_gradient(bucket, (*inputs, grad_SQHV.transpose(1, 2)), found, ctx.scaling, ctx.window)
        return q_grad_TX, kv_grad_UY, None, None, None, None


def _bucket_gradient(
    bucket: Bucket, inputs: tuple[Tensor, ...], found: list[Tensor], scaling: float, window: int
) -> None:
    """Writes the gradient with respect to a bucket's queries, keys and values into `found`, block by block."""
    q_SHQD, k_SGKD, v_SGKV, grad_SHQV = inputs
    mask, blocks = bucket.mask(window, q_SHQD.dtype), bucket.blocks(window, q_SHQD.shape[1])
    if len(blocks) == 1:
        for place, values in zip(found, _gradient(*inputs, mask=mask, scaling=scaling), strict=True):
            place.copy_(values)
        return
    # Rows that are cut add up what their parts give, in float32.
    sums = [torch.zeros(x.shape, dtype=torch.float32) for x in (k_SGKD, v_SGKV)]
    for block in blocks:
        rows, queries, keys = block.rows, block.queries, slice(block.keys)
        q_grad, *others = _gradient(
            q_SHQD[rows, :, queries],
            k_SGKD[rows, :, keys],
            v_SGKV[rows, :, keys],
            grad_SHQV[rows, :, queries],
            mask=mask[rows, :, queries, keys],
            scaling=scaling,
        )
        found[0][rows, :, queries] = q_grad
        for total, values in zip(sums, others, strict=True):
            total[rows, :, keys] += values
    for place, total in zip(found[1:], sums, strict=True):
        place.copy_(total)


def _gradient(
    q_SHQD: Tensor, k_SGKD: Tensor, v_SGKV: Tensor, grad_SHQV: Tensor, *, mask: Tensor, scaling: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient with respect to queries, keys and values; heads that share keys are multiplied as one."""
    (segments, heads, queries, _), (groups, keys) = q_SHQD.shape, k_SGKD.shape[1:3]
    q, k, v, grad = (x.reshape(segments * groups, -1, x.shape[-1]) for x in (q_SHQD, k_SGKD, v_SGKV, grad_SHQV))
    products = torch.bmm(q, k.transpose(1, 2)).view(segments, heads, queries, keys)
    share = torch.softmax(torch.add(mask, products, alpha=scaling), -1).view(segments * groups, -1, keys)
    v_grad = torch.bmm(share.transpose(1, 2), grad)
    share_grad = torch.bmm(grad, v.transpose(1, 2))
    product_grad = torch._softmax_backward_data(share_grad, share, -1, share.dtype).mul_(scaling)
    q_grad, k_grad = torch.bmm(product_grad, k), torch.bmm(product_grad.transpose(1, 2), q)
    return q_grad.view(q_SHQD.shape), k_grad.view(k_SGKD.shape), v_grad.view(v_SGKV.shape)
