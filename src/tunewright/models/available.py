"""How much memory there is to take: the machine's, its container's, or a card's."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or its container's where that is less."""
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _cgroup_limits())]))


def _cgroup_limits(root: Path = _CGROUP, membership: Path = Path("/proc/self/cgroup")) -> list[tuple[int, int]]:
    """Memory limits that hold for this process and what is used of each, in bytes: its group's and all above it."""
    limits: list[tuple[int, int]] = []
    groups = membership.read_text().split() if membership.exists() else []
    for line in groups:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            names, top = ("memory.max", "memory.current"), root
        elif "memory" in controllers.split(","):
            names, top = ("memory.limit_in_bytes", "memory.usage_in_bytes"), root / "memory"
        else:
            continue
        place = PurePosixPath(group)
        for folder in [top / str(level).lstrip("/") for level in (place, *place.parents)]:
            limit, used = (_number(folder / name) for name in names)
            if limit < _UNLIMITED:
                limits.append((limit, used - _reclaimable(folder)))
    return limits


def _number(file: Path) -> int:
    """A cgroup file's number; where there is none (`max`, or no such group here), one that limits nothing."""
    text = file.read_text().strip() if file.exists() else "max"
    return int(text) if text.isdigit() else _UNLIMITED


def _reclaimable(folder: Path) -> int:
    """File pages that the kernel gives back under pressure; they count as used, and are not."""
    stat = folder / "memory.stat"
    lines = stat.read_text().splitlines() if stat.exists() else []
    values = dict(line.split() for line in lines)
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))
