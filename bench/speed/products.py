"""The machine's limit: the best matrix product it does, in float32 and in bfloat16. A process of bench/sft.py.

python -m speed.products OUT.json cpu|cuda THREADS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

SIDES = (1024, 2048, 4096)
SECONDS = 1.5  # for each size and dtype


def best_rate(dtype: torch.dtype, device: torch.device) -> float:
    """The highest rate over some sizes of square products, in floating-point operations a second."""
    return max(_rate(side, dtype, device) for side in SIDES)


def _rate(side: int, dtype: torch.dtype, device: torch.device) -> float:
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty(side, side, device=device, dtype=dtype)
    best, began = 0.0, time.perf_counter()
    torch.mm(left, right, out=out)  # the first one prepares kernels and memory
    # A GPU is asked for many products at once: one alone would be over before it is measured.
    times = 1 if device.type == "cpu" else 50
    while time.perf_counter() - began < SECONDS:
        _wait(device)
        started = time.perf_counter()
        for _ in range(times):
            torch.mm(left, right, out=out)
        _wait(device)
        best = max(best, times * 2 * side**3 / (time.perf_counter() - started))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Writes {"float32": …, "bfloat16": …, "device": …}."""
    out, device, threads = Path(sys.argv[1]), torch.device(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    found = {str(dtype).removeprefix("torch."): best_rate(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    out.write_text(json.dumps({**found, "device": name, "threads": threads}))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


if __name__ == "__main__":
    main()
