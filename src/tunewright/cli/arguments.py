"""Arguments as they were typed, for what the parser cannot say: an option whose value may be left out."""

from __future__ import annotations

# The verbs that take --resume.
RESUMING = ("demo", "run", "train")
# Those that take --from-checkpoint.
BEGINNING = ("run", "train")
LATEST = "latest"


def fill_in_resume(args: list[str]) -> list[str]:
    """Puts `latest` behind a `--resume` that is last, or that an option or a recipe follows."""
    filled: list[str] = []
    for index, arg in enumerate(args):
        filled.append(arg)
        if arg != "--resume":
            continue
        following = args[index + 1] if index + 1 < len(args) else "-"
        if following.startswith("-") or following.endswith((".yaml", ".yml")):
            filled.append(LATEST)
    return filled
