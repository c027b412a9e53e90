"""Parts of attention, joined by the logarithms of their sums, are the whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tunewright.generate.serving.attending import _UNSEEN, _part


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("width", [8, 12])  # the kernel for equal widths of keys and values, and six operations
def test_parts_are_joined_to_the_whole(width: int) -> None:
    q, k, v = some(2, 3, 4, 8), some(2, 3, 9, 8), some(2, 3, 9, width)
    mask = torch.zeros(2, 1, 1, 9)
    mask[0, ..., 7:] = mask[1, ..., :4] = _UNSEEN  # the second row sees nothing of the first part
    whole = (q @ k.transpose(-1, -2) * 0.3 + mask).softmax(-1) @ v
    pieces = [slice(0, 4), slice(4, 9)]
    parts = [_part(q, k[:, :, one], v[:, :, one], mask[..., one], 0.3) for one in pieces]
    weights = torch.stack([total for _, total in parts]).softmax(0)
    found = sum(weight[..., None] * out for weight, (out, _) in zip(weights, parts, strict=True))
    torch.testing.assert_close(found, whole)
    expected = (q @ k[:, :, :4].transpose(-1, -2) * 0.3 + mask[..., :4]).logsumexp(-1)
    torch.testing.assert_close(parts[0][1][0], expected[0])


def test_narrow_numbers_stay_near() -> None:
    q, k, v = (some(1, 2, n, 8).bfloat16() for n in (3, 5, 5))
    whole = (q.float() @ k.float().transpose(-1, -2) * 0.3).softmax(-1) @ v.float()
    out, total = _part(q, k, v, None, 0.3)
    assert (out.dtype, total.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(out.float(), whole, rtol=0.05, atol=0.02)
