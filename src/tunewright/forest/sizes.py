"""Few sizes of matrix products, where making products ready for a new one takes long.

On a processor in bfloat16, the library makes a product ready anew for each number of rows: a few milliseconds for a
layer's weights, and tens of them for a vocabulary's.
"""

from __future__ import annotations

from torch import Tensor, bfloat16
from torch.nn import functional


def prepares_products(like: Tensor) -> bool:
    """Whether products with tensors like this one are made ready anew for each number of rows."""
    return like.device.type == "cpu" and like.dtype == bfloat16


def few_sizes(rows: int) -> int:
    """The next of few numbers: eight between a power of two and the next, so that an eighth at most is added."""
    step = max(8, 1 << max(0, rows.bit_length() - 4))
    return -(-rows // step) * step


def fill_rows(row_MX: Tensor) -> Tensor:
    """Rows and, where products of few sizes are wanted, rows of zeros behind them; shape (M or more, X)."""
    extra = few_sizes(len(row_MX)) - len(row_MX) if prepares_products(row_MX) else 0
    return functional.pad(row_MX, (0, 0, 0, extra)) if extra else row_MX
