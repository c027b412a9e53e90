"""Where a run computes: versions, processor, threads. Resolved once, and read again when the run is resumed."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "tunewright",
    "torch",
    "transformers",
    "peft",
    "tokenizers",
    "safetensors",
    "polars",
    "numpy",
    "scikit-learn",
)


def describe(*, device: str, dtype: str, base_hash: str, seed: int, processes: int = 1) -> dict[str, Any]:
    """This machine and its software, JSON-ready. Two runs whose descriptions agree give the same bits.

    Args:
        device: Where the model computes, as resolved.
        dtype: Of the frozen weights and the activations, as resolved.
        base_hash: Of the base model's weights.
        seed: The recipe's.
        processes: How many train together.
    """
    import os

    import psutil
    import torch

    return {
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "device": device,
        "dtype": dtype,
        "base_hash": base_hash,
        "seed": seed,
    }


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of the things that decide a run's bits is not what it was, in words."""
    found = [
        f"{name} {then['versions'].get(name, 'none')} is now {now['versions'].get(name, 'none')}"
        for name in ("torch", "transformers", "peft")
        if then["versions"].get(name) != now["versions"].get(name)
    ]
    if then.get("processes", 1) != now["processes"]:
        found.append(f"processes {then.get('processes', 1)} is now {now['processes']}")
    return found + [
        f"{name} {then[name]} is now {now[name]}" for name in ("processor", "system") if then[name] != now[name]
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree
        from tunewright import __version__

        return __version__ if package == "tunewright" else ""


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    if cpuinfo.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        if named:
            return named.group(1).strip()
    return platform.processor() or platform.machine()
